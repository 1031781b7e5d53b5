/** The block `Freeze:` of filed.yaml. */
import path from "node:path";
import type { Diagnostics } from "../../common/config/diagnostics.js";
import { absolutePath, pathText } from "../../common/config/parts.js";
import {
  type BlockOf,
  type BlockSpec,
  block,
  type Directive,
  duration,
  listOf,
  scalar,
  text,
  words,
  yesNo,
} from "../../common/config/spec.js";
import { describeError } from "../../common/errors.js";
import { splitWords } from "../../common/words.js";
import type { FreezeSettings } from "./settings.js";

const serviceDirectives = { stop: text(), start: text() };
const SERVICE_SPEC: BlockSpec<typeof serviceDirectives> = { directives: serviceDirectives };

/** A name in libvirt, which must not look like an option. */
function domain(): Directive<string> {
  return scalar((value) => {
    if (/^[A-Za-z0-9%][^\0-\x1f]*$/.test(value)) return value;
    throw new Error(
      `"${value.replace(/[\0-\x1f]/g, " ")}" is not the name of a domain (%n stands for the machine's name)`,
    );
  });
}

const freezeDirectives = {
  method: listOf(words("agent", "libvirt", "qmp", "libvirt-pause", "command", "none")),
  agentSocket: absolutePath(),
  qmpSocket: absolutePath(),
  fileSystems: listOf(absolutePath()),
  domain: domain(),
  libvirtUri: text(),
  virsh: pathText(),
  services: listOf(block(SERVICE_SPEC)),
  timeout: duration(),
  stepTimeout: duration(),
  required: yesNo(),
};

export const FREEZE_SPEC: BlockSpec<typeof freezeDirectives> = {
  directives: freezeDirectives,
  aliases: { Methods: "method" },
};

export interface FreezeSurroundings {
  readonly hookDirectories: readonly string[];
  readonly diagnostics: Diagnostics;
}

/** The settings of a block; without one nothing is frozen. What is missing is reported. */
export function toFreezeSettings(
  raw: BlockOf<typeof FREEZE_SPEC> | undefined,
  { hookDirectories, diagnostics }: FreezeSurroundings,
): FreezeSettings {
  const values = raw?.values ?? {};
  if (raw !== undefined) check(raw, hookDirectories, diagnostics);
  const services = (values.services ?? []).map(({ values: { stop, start } }) => ({
    stop: stop ?? "",
    start: start ?? "",
  }));
  return {
    methods: values.method ?? [],
    agentSocket: values.agentSocket,
    qmpSocket: values.qmpSocket,
    fileSystems: values.fileSystems ?? [],
    domain: values.domain ?? "%n",
    libvirtUri: values.libvirtUri ?? "qemu:///system",
    virsh: values.virsh ?? "virsh",
    services,
    hookDirectories,
    timeoutSec: values.timeout ?? 60,
    stepTimeoutSec: values.stepTimeout ?? 20,
    required: values.required ?? false,
  };
}

function check(
  raw: BlockOf<typeof FREEZE_SPEC>,
  hookDirectories: readonly string[],
  diagnostics: Diagnostics,
): void {
  const { values, place } = raw;
  const at = raw.positions.get("method") ?? raw.at;
  const error = (message: string): void => diagnostics.error(at, `${place}: ${message}`);
  const methods = values.method ?? [];
  if (methods.length === 0 && !raw.positions.has("method")) error("Method is missing");
  if (methods.includes("agent") && values.agentSocket === undefined)
    error("Method agent needs AgentSocket (such as /run/qemu/%n.agent)");
  if (methods.includes("qmp") && values.qmpSocket === undefined)
    error("Method qmp needs QmpSocket (such as /run/qemu/%n.qmp)");
  const services = values.services ?? [];
  if (methods.includes("command") && services.length === 0)
    error("Method command needs Services: [{Stop: …, Start: …}]");
  if (services.length > 0 && hookDirectories.length === 0)
    error("Services are run from HookDirectories only, and the FileDaemon names none");
  for (const service of services) checkService(service, diagnostics);
  if (values.virsh?.includes("/") && !path.isAbsolute(values.virsh))
    error("Virsh must be absolute, or a name alone");
  for (const limit of ["timeout", "stepTimeout"] as const)
    if (values[limit] === 0) error("Timeout and StepTimeout must be longer than nothing");
}

function checkService(service: BlockOf<typeof SERVICE_SPEC>, diagnostics: Diagnostics): void {
  for (const name of ["stop", "start"] as const) {
    const command = service.values[name];
    try {
      if (command !== undefined && splitWords(command).length > 0) continue;
      if (service.positions.has(name) && command === undefined) continue;
      diagnostics.error(service.at, `${service.place}: a service needs both Stop and Start`);
    } catch (error) {
      diagnostics.error(service.positions.get(name) ?? service.at, describeError(error));
    }
  }
}
