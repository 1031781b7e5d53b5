/** `Snapshot:` resources of filed.yaml. */
import { hostname } from "node:os";
import type { Diagnostics } from "../../common/config/diagnostics.js";
import { type ResourceOf, requireDirectives, resourceName } from "../../common/config/resources.js";
import { type BlockSpec, block, type Directive, listOf, scalar, words } from "../../common/config/spec.js";
import { parseSize } from "../../common/units.js";
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

const snapshotDirectives = {
  name: resourceName(),
  provider: words("lvm", "lvm-thin"),
  vm: listOf(machineNames()),
  volumeGroup: volumeGroup(),
  pattern: scalar(checkPattern),
  size: room(),
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
    requireDirectives(raw, ["provider"], diagnostics);
    return {
      name,
      vms: values.vm ?? ["*"],
      pattern: values.pattern ?? "vm_%n-disk*",
      room: values.size ?? { percent: 15 },
      provider: {
        kind: "lvm",
        volumeGroup: values.volumeGroup ?? hostname(),
        thinOnly: values.provider === "lvm-thin",
      },
      freeze: toFreezeSettings(values.freeze, { hookDirectories, diagnostics }),
      mount: values.mount === undefined ? undefined : toMountSettings(values.mount),
    };
  });
}
