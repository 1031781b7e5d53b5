/** `Snapshot:` resources of filed.yaml. */
import { hostname } from "node:os";
import type { Diagnostics } from "../../common/config/diagnostics.js";
import { absolutePath } from "../../common/config/parts.js";
import { type ResourceOf, requireDirectives, resourceName } from "../../common/config/resources.js";
import {
  type BlockSpec,
  block,
  type Directive,
  duration,
  listOf,
  scalar,
  shownName,
  words,
} from "../../common/config/spec.js";
import { parseSize } from "../../common/units.js";
import { splitWords } from "../../common/words.js";
import { FREEZE_SPEC, toFreezeSettings } from "../freeze/config.js";
import { MOUNT_SPEC, toMountSettings } from "../mount/config.js";
import { checkPattern } from "./names.js";
import type { Room, SnapshotSettings } from "./settings.js";

function room(): Directive<Room> {
  return scalar((text) => {
    const percent = /^(\d{1,3}(?:\.\d+)?) ?%$/.exec(text.trim())?.[1];
    if (percent === undefined) {
      const bytes = parseSize(text);
      if (bytes > 0) return { bytes };
    } else if (Number(percent) > 0 && Number(percent) <= 100) return { percent: Number(percent) };
    throw new Error(`"${text}" is no room for changes (such as 15%, 5G; up to 100%)`);
  });
}

function volumeGroup(): Directive<string> {
  return scalar((text) => {
    if (/^[A-Za-z0-9+_.][A-Za-z0-9+_.-]{0,126}$/.test(text) && !/^\.+$/.test(text)) return text;
    throw new Error(`"${text}" is no name of a volume group`);
  });
}

function machineNames(): Directive<string> {
  return scalar((text) => {
    if (/^[A-Za-z0-9+_.*-]+$/.test(text)) return text;
    throw new Error(`"${text}" is no name of a virtual machine (* stands for any characters)`);
  });
}

function command(): Directive<readonly string[]> {
  return scalar((text) => {
    const found = splitWords(text);
    if (found.length > 0) return found;
    throw new Error("the command is empty");
  });
}

const snapshotDirectives = {
  name: resourceName(),
  provider: words("lvm", "lvm-thin", "btrfs", "xfs", "command"),
  vm: listOf(machineNames()),
  volumeGroup: volumeGroup(),
  pattern: scalar(checkPattern),
  size: room(),
  directory: absolutePath(),
  createCommand: command(),
  removeCommand: command(),
  checkCommand: command(),
  timeLimit: duration(),
  freeze: block(FREEZE_SPEC),
  mount: block(MOUNT_SPEC),
};

export const SNAPSHOT_SPEC: BlockSpec<typeof snapshotDirectives> = {
  directives: snapshotDirectives,
  aliases: { VMs: "vm" },
};

/** What the resources say, in file order; what is missing is reported. */
export function toSnapshotSettings(
  resources: ReadonlyMap<string, ResourceOf<typeof SNAPSHOT_SPEC>>,
  { hookDirectories, diagnostics }: { hookDirectories: readonly string[]; diagnostics: Diagnostics },
): SnapshotSettings[] {
  return [...resources.values()].map((raw) => {
    const { values, name } = raw;
    if (requireDirectives(raw, ["provider"], diagnostics)) checkDirectives(raw, hookDirectories, diagnostics);
    return {
      name,
      vms: values.vm ?? ["*"],
      pattern: values.pattern ?? "vm_%n-disk*",
      room: values.size ?? { percent: 15 },
      provider: toProvider(values),
      freeze: toFreezeSettings(values.freeze, { hookDirectories, diagnostics }),
      mount: values.mount === undefined ? undefined : toMountSettings(values.mount),
    };
  });
}

type Raw = ResourceOf<typeof SNAPSHOT_SPEC>;

function toProvider(values: Raw["values"]): SnapshotSettings["provider"] {
  const { provider } = values;
  if (provider === "btrfs" || provider === "xfs")
    return { kind: provider, directory: values.directory ?? "/" };
  if (provider === "command") {
    const { createCommand: create = [], removeCommand: remove = [], checkCommand: check } = values;
    return { kind: provider, create, remove, check, timeoutSec: values.timeLimit ?? 600 };
  }
  const volumeGroup = values.volumeGroup ?? hostname();
  return { kind: "lvm", volumeGroup, thinOnly: provider === "lvm-thin" };
}

/** Directives that only some providers know. */
const OWN: Readonly<Record<string, readonly string[]>> = {
  lvm: ["volumeGroup", "pattern", "size"],
  "lvm-thin": ["volumeGroup", "pattern", "size"],
  btrfs: ["directory", "pattern", "size"],
  xfs: ["directory", "pattern", "size"],
  command: ["createCommand", "removeCommand", "checkCommand", "timeLimit"],
};
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  btrfs: ["directory"],
  xfs: ["directory"],
  command: ["createCommand", "removeCommand"],
};

function checkDirectives(raw: Raw, hookDirectories: readonly string[], diagnostics: Diagnostics): void {
  const { provider } = raw.values;
  if (provider === undefined) return;
  requireDirectives(raw, NEEDED[provider] ?? [], diagnostics);
  for (const directive of new Set(Object.values(OWN).flat())) {
    const at = raw.positions.get(directive);
    if (at === undefined || OWN[provider]?.includes(directive)) continue;
    const others = Object.keys(OWN).filter((name) => OWN[name]?.includes(directive));
    const text = `${shownName(directive)} in ${raw.place} is for Provider ${others.join(", ")}, this is ${provider}`;
    diagnostics.error(at, text);
  }
  if (provider === "command" && hookDirectories.length === 0)
    diagnostics.error(
      raw.at,
      `the commands of ${raw.place} are run from HookDirectories only, and there are none`,
    );
}
