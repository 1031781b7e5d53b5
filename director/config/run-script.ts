/** Commands around a job: Bacula's short directives and the RunScript block, all made RunScripts. */

import type { ConfigNode } from "../../common/config/source.js";
import {
  type Block,
  type BlockSpec,
  block,
  type Directive,
  duration,
  listOf,
  type ReadContext,
  text,
  words,
  yesNo,
} from "../../common/config/spec.js";
import type { RunScript } from "./types.js";

type Preset = Pick<RunScript, "when" | "onClient" | "onSuccess" | "onFailure">;

/**
 * What the short directives mean. Unlike in Bacula, ClientRunAfterJob also runs when the job failed or was
 * canceled: it is what removes snapshots and starts services again.
 */
const PRESETS = {
  runBeforeJob: { when: "Before", onClient: false, onSuccess: true, onFailure: false },
  runAfterJob: { when: "After", onClient: false, onSuccess: true, onFailure: false },
  runAfterFailedJob: { when: "After", onClient: false, onSuccess: false, onFailure: true },
  clientRunBeforeJob: { when: "Before", onClient: true, onSuccess: true, onFailure: false },
  clientRunAfterJob: { when: "After", onClient: true, onSuccess: true, onFailure: true },
} as const satisfies Record<string, Preset>;

function shortForm(preset: Preset, origin: string): Directive<readonly RunScript[]> {
  const commands = listOf(text());
  return (node, context) =>
    commands(node, context)?.map((command) => ({
      ...preset,
      command,
      failJobOnError: preset.when === "Before",
      timeoutSec: 0,
      origin,
    }));
}

const blockDirectives = {
  command: listOf(text()),
  console: listOf(text()),
  runsWhen: words("Before", "After", "Always", "Never"),
  runsOnClient: yesNo(),
  runsOnSuccess: yesNo(),
  runsOnFailure: yesNo(),
  failJobOnError: yesNo(),
  timeLimit: duration(),
};

const BLOCK: BlockSpec<typeof blockDirectives> = {
  directives: blockDirectives,
  aliases: { AbortJobOnError: "failJobOnError", Timeout: "timeLimit" },
};

function readBlocks(node: ConfigNode, context: ReadContext): readonly RunScript[] {
  const blocks = listOf(block(BLOCK))(node, context) ?? [];
  return blocks.flatMap((each) => {
    const { command = [], console = [], runsWhen = "Never" } = each.values;
    const needed = [
      ["Command or Console", each.positions.has("command") || each.positions.has("console")],
      ["RunsWhen (Before or After)", each.positions.has("runsWhen")],
    ] as const;
    for (const [name, given] of needed) {
      if (!given) context.diagnostics.error(each.at, `${each.place} needs the directive ${name}`);
    }
    const whens =
      runsWhen === "Always" ? (["Before", "After"] as const) : runsWhen === "Never" ? [] : [runsWhen];
    return whens.flatMap((when) => [
      ...command.map((line) => fromBlock(each, line, when)),
      ...console.map((line) => ({ ...fromBlock(each, line, when), onClient: false, isConsole: true })),
    ]);
  });
}

function fromBlock(
  { values }: Block<typeof blockDirectives>,
  command: string,
  when: "Before" | "After",
): RunScript {
  return {
    command,
    when,
    onClient: values.runsOnClient ?? true,
    onSuccess: values.runsOnSuccess ?? true,
    onFailure: values.runsOnFailure ?? false,
    failJobOnError: values.failJobOnError ?? true,
    timeoutSec: values.timeLimit ?? 0,
    origin: "RunScript",
  };
}

/** The directives of a Job that name commands. */
export const runScriptDirectives = {
  runBeforeJob: shortForm(PRESETS.runBeforeJob, "RunBeforeJob"),
  runAfterJob: shortForm(PRESETS.runAfterJob, "RunAfterJob"),
  runAfterFailedJob: shortForm(PRESETS.runAfterFailedJob, "RunAfterFailedJob"),
  clientRunBeforeJob: shortForm(PRESETS.clientRunBeforeJob, "ClientRunBeforeJob"),
  clientRunAfterJob: shortForm(PRESETS.clientRunAfterJob, "ClientRunAfterJob"),
  runScript: readBlocks as Directive<readonly RunScript[]>,
};

/** All commands of a job in the order of the directives above. */
export function runScriptsOf(
  values: {
    readonly [K in keyof typeof runScriptDirectives]?: readonly RunScript[];
  },
): readonly RunScript[] {
  return (Object.keys(runScriptDirectives) as (keyof typeof runScriptDirectives)[]).flatMap(
    (name) => values[name] ?? [],
  );
}
