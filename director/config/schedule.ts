/** Schedule: lines in Bacula's words (`Run`) and cron lines (`Cron`), with overrides. */

import { type Diagnostics, quoted } from "../../common/config/diagnostics.js";
import { checkReference, type ResourceOf, resourceName } from "../../common/config/resources.js";
import type { ConfigNode } from "../../common/config/source.js";
import {
  type Block,
  type BlockSpec,
  block,
  type Directive,
  duration,
  integer,
  type ReadContext,
  reference,
  scalar,
  text,
  yesNo,
} from "../../common/config/spec.js";
import { describeError } from "../../common/errors.js";
import { type BaculaRun, parseBaculaRun } from "../schedule/bacula-run.js";
import { parseCron } from "../schedule/cron.js";
import { jobLevel } from "./job-spec.js";
import type { RunDirective, RunOverrides, RunSpec, ScheduleResource } from "./types-schedule.js";

const runDirectives = {
  at: text(),
  level: jobLevel(),
  pool: reference(),
  fullPool: reference(),
  incrementalPool: reference(),
  differentialPool: reference(),
  virtualFullPool: reference(),
  nextPool: reference(),
  storage: reference(),
  messages: reference(),
  priority: integer(1, 1000),
  accurate: yesNo(),
  maxRunTime: duration(),
  maxRunSchedTime: duration(),
};

const RUN_BLOCK: BlockSpec<typeof runDirectives> = {
  directives: runDirectives,
  aliases: { When: "at" },
};

/** A line as read; its references are looked up when all resources are known. */
interface RawRun extends RunDirective {
  readonly node: ConfigNode;
  readonly block?: Block<typeof runDirectives>;
}

type Parse = (text: string) => { spec: RunSpec; overrides: RunOverrides };

const parseCronRun: Parse = (line) => ({
  spec: { kind: "cron", expression: parseCron(line) },
  overrides: {},
});

const parseRun: Parse = (line) => {
  const { overrides, text }: BaculaRun = parseBaculaRun(line);
  return { spec: { kind: "bacula", text }, overrides };
};

function runs(parse: Parse): Directive<readonly RawRun[]> {
  const line = scalar(parse);
  const one = (node: ConfigNode, context: ReadContext): RawRun | undefined => {
    if (node.kind !== "map") {
      const parsed = line(node, context);
      return parsed === undefined ? undefined : { ...parsed, node };
    }
    const given = block(RUN_BLOCK)(node, context);
    const at = given?.values.at;
    if (given === undefined || at === undefined) {
      if (!given?.positions.has("at"))
        context.diagnostics.error(node.at, `${given?.place} needs the directive At`);
      return undefined;
    }
    try {
      const parsed = parse(at);
      return {
        spec: parsed.spec,
        overrides: { ...parsed.overrides, ...overridesOf(given) },
        node,
        block: given,
      };
    } catch (error) {
      context.diagnostics.error(
        given.positions.get("at") ?? node.at,
        `At in ${given.place}: ${describeError(error)}`,
      );
      return undefined;
    }
  };
  return (node, context) => {
    const items = node.kind === "list" ? node.items : [node];
    return items.map((item) => one(item, context)).filter((run) => run !== undefined);
  };
}

const POOLS = [
  "pool",
  "fullPool",
  "incrementalPool",
  "differentialPool",
  "virtualFullPool",
  "nextPool",
] as const;

function overridesOf({ values }: Block<typeof runDirectives>): RunOverrides {
  const names = [...POOLS, "storage", "messages"] as const;
  const given = names.filter((name) => values[name] !== undefined).map((name) => [name, values[name]?.name]);
  return {
    ...Object.fromEntries(given),
    ...(values.level === undefined ? {} : { level: values.level }),
    ...(values.priority === undefined ? {} : { priority: values.priority }),
    ...(values.accurate === undefined ? {} : { accurate: values.accurate }),
    ...(values.maxRunTime === undefined ? {} : { maxRunTimeSec: values.maxRunTime }),
    ...(values.maxRunSchedTime === undefined ? {} : { maxRunSchedTimeSec: values.maxRunSchedTime }),
  };
}

const directives = { name: resourceName(), enabled: yesNo(), run: runs(parseRun), cron: runs(parseCronRun) };

export const SCHEDULE_SPEC: BlockSpec<typeof directives> = { directives };

/** What overrides may name. */
interface RunTargets {
  readonly pools: ReadonlyMap<string, unknown>;
  readonly storages: ReadonlyMap<string, unknown>;
  readonly messages: ReadonlyMap<string, unknown>;
}

/** The typed Schedule; dangling references in overrides are reported. */
export function toSchedule(
  raw: ResourceOf<typeof SCHEDULE_SPEC>,
  targets: RunTargets,
  diagnostics: Diagnostics,
): ScheduleResource {
  const all = [...(raw.values.run ?? []), ...(raw.values.cron ?? [])];
  for (const run of all) checkTargets(run, raw.place, { targets, diagnostics });
  if (!raw.positions.has("run") && !raw.positions.has("cron")) {
    diagnostics.warning(raw.at, `Schedule ${quoted(raw.name)} has neither Run nor Cron: it starts nothing`);
  }
  return {
    name: raw.name,
    enabled: raw.values.enabled ?? true,
    runs: all.map(({ spec, overrides }) => ({ spec, overrides })),
  };
}

function checkTargets(
  { node, overrides, block: given }: RawRun,
  place: string,
  { targets, diagnostics }: { targets: RunTargets; diagnostics: Diagnostics },
): void {
  const check = (property: (typeof POOLS)[number] | "storage" | "messages", kind: string): void => {
    const name = overrides[property];
    const known = kind === "Pool" ? targets.pools : kind === "Storage" ? targets.storages : targets.messages;
    const at = given?.values[property]?.at ?? node.at;
    if (name !== undefined) checkReference({ name, at, directive: "Run", place }, kind, known, diagnostics);
  };
  for (const property of POOLS) check(property, "Pool");
  check("storage", "Storage");
  check("messages", "Messages");
}
