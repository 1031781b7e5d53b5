/** Device and Autochanger resources: directories of volumes, and the drives that a changer's command loads. */

import path from "node:path";
import type { Diagnostics } from "../common/config/diagnostics.js";
import { pathText } from "../common/config/parts.js";
import { type ResourceOf, requireDirectives, resourceName } from "../common/config/resources.js";
import {
  type BlockSpec,
  commaList,
  type Directive,
  duration,
  integer,
  size,
  text,
  yesNo,
} from "../common/config/spec.js";
import { splitWords } from "../common/words.js";

/** What makes a device a drive of an autochanger. */
export interface Drive {
  /** Name of the autochanger. */
  readonly changer: string;
  /** Its number there, from 0. */
  readonly index: number;
  /** Program and arguments with %-codes; "": the changer is virtual, every drive reaches every volume by itself. */
  readonly command: string;
  /** For %c. */
  readonly changerDevice: string;
  /** How long one run of the command may take. */
  readonly maximumWaitSec: number;
}

export interface DeviceResource {
  readonly name: string;
  /** (Default: File) */
  readonly mediaType: string;
  /** Directory of the volumes; of a drive with a changer command the link to the slot's file that the command sets. */
  readonly archiveDevice: string;
  /** Volumes may be labelled automatically. (Default: yes) */
  readonly labelMedia: boolean;
  /** Bytes after which a volume is full; 0 = as the pool says. */
  readonly maximumVolumeSize: number;
  /** (Default: 10) */
  readonly maximumConcurrentJobs: number;
  readonly enabled: boolean;
  /** Volumes are read and never written. */
  readonly readOnly: boolean;
  /** Only of drives of an autochanger. A drive writes one volume at a time. */
  readonly drive?: Drive | undefined;
}

/** Bacula's default of Maximum Changer Wait. */
const CHANGER_WAIT_SEC = 300;

/** As in Bacula's files an empty command says that there is none. */
function commandText(): Directive<string> {
  const given = text();
  return (node, context) => (node.kind === "scalar" && node.text === "" ? "" : given(node, context));
}

const changerDirectives = {
  changerCommand: commandText(),
  changerDevice: text(),
  maximumChangerWait: duration(),
};

const deviceDirectives = {
  name: resourceName(),
  mediaType: text(),
  archiveDevice: pathText(),
  labelMedia: yesNo(),
  maximumVolumeSize: size(),
  maximumConcurrentJobs: integer(1, 10000),
  enabled: yesNo(),
  readOnly: yesNo(),
  driveIndex: integer(0, 1000),
  autochanger: yesNo(),
  ...changerDirectives,
};

const DIRECTORY = "volumes are files in a directory";

export const DEVICE_SPEC: BlockSpec<typeof deviceDirectives> = {
  directives: deviceDirectives,
  aliases: { Directory: "archiveDevice" },
  noEffect: {
    DeviceType: DIRECTORY,
    RandomAccess: DIRECTORY,
    AutomaticMount: DIRECTORY,
    RemovableMedia: DIRECTORY,
    AlwaysOpen: DIRECTORY,
    MaximumOpenWait: DIRECTORY,
    VolumePollInterval: DIRECTORY,
    MaximumFileSize: "volumes have no file marks; MaximumVolumeSize limits a volume",
    BlockChecksum: "every frame is verified before it counts",
    MaximumSpoolSize: "nothing is spooled",
    SpoolDirectory: "nothing is spooled",
  },
};

const autochangerDirectives = { name: resourceName(), device: commaList(), ...changerDirectives };

export const AUTOCHANGER_SPEC: BlockSpec<typeof autochangerDirectives> = {
  directives: autochangerDirectives,
  aliases: { Devices: "device" },
};

type RawDevice = ResourceOf<typeof DEVICE_SPEC>;
type RawChanger = ResourceOf<typeof AUTOCHANGER_SPEC>;

/** The typed devices, by name in file order; what does not fit together is reported. */
export function toDevices(
  raw: ReadonlyMap<string, RawDevice>,
  changers: ReadonlyMap<string, RawChanger>,
  diagnostics: Diagnostics,
): Map<string, DeviceResource> {
  const drives = drivesOf(raw, changers, diagnostics);
  const devices = new Map<string, DeviceResource>();
  for (const device of raw.values()) {
    const { values, name } = device;
    requireDirectives(device, ["archiveDevice"], diagnostics);
    const archiveDevice = path.resolve(device.directory, values.archiveDevice ?? ".");
    const drive = drives.get(name) ?? ownDrive(device, diagnostics);
    devices.set(name, {
      name,
      mediaType: values.mediaType ?? "File",
      archiveDevice,
      labelMedia: values.labelMedia ?? true,
      maximumVolumeSize: values.maximumVolumeSize ?? 0,
      maximumConcurrentJobs: values.maximumConcurrentJobs ?? 10,
      enabled: values.enabled ?? true,
      readOnly: values.readOnly ?? false,
      ...(drive === undefined ? {} : { drive }),
    });
  }
  return devices;
}

function drivesOf(
  raw: ReadonlyMap<string, RawDevice>,
  changers: ReadonlyMap<string, RawChanger>,
  diagnostics: Diagnostics,
): Map<string, Drive> {
  const drives = new Map<string, Drive>();
  for (const changer of changers.values()) {
    requireDirectives(changer, ["device"], diagnostics);
    const taken = new Map<number, string>();
    for (const [place, name] of (changer.values.device ?? []).entries()) {
      const device = raw.get(name);
      const wrong = (text: string) => diagnostics.error(changer.at, `${changer.place}: ${text}`);
      if (device === undefined) {
        wrong(`there is no Device "${name}"`);
        continue;
      }
      const index = device.values.driveIndex ?? place;
      const other = taken.get(index);
      if (drives.has(name)) wrong(`Device "${name}" belongs to two Autochangers`);
      else if (other !== undefined)
        wrong(`Devices "${other}" and "${name}" have the same DriveIndex ${index}`);
      taken.set(index, name);
      drives.set(name, toDrive(changer.name, index, [device, changer], diagnostics));
    }
  }
  return drives;
}

/** A device with a changer command of its own is an autochanger with one drive. */
function ownDrive(device: RawDevice, diagnostics: Diagnostics): Drive | undefined {
  if (device.values.autochanger === false || (device.values.changerCommand ?? "") === "") return undefined;
  return toDrive(device.name, device.values.driveIndex ?? 0, [device], diagnostics);
}

/** What a device says itself outranks its changer. */
function toDrive(
  changer: string,
  index: number,
  from: readonly (RawDevice | RawChanger)[],
  diagnostics: Diagnostics,
): Drive {
  const first = <K extends keyof typeof changerDirectives>(key: K) =>
    from.map(({ values }) => values[key]).find((value) => value !== undefined);
  const command = (first("changerCommand") ?? "").trim();
  try {
    splitWords(command);
  } catch (error) {
    diagnostics.error(from[0]!.at, `${from[0]!.place}: ChangerCommand: ${(error as Error).message}`);
  }
  return {
    ...{ changer, index, command },
    changerDevice: first("changerDevice") ?? "",
    maximumWaitSec: first("maximumChangerWait") ?? CHANGER_WAIT_SEC,
  };
}

/** Does a command put the volumes into this drive? Else they lie in the directory. */
export function isScripted(device: DeviceResource): boolean {
  return (device.drive?.command ?? "") !== "";
}

/** Devices that a name stands for: the device, or all drives of the autochanger, in the order of their indexes. */
export function devicesNamed(
  devices: ReadonlyMap<string, DeviceResource>,
  name: string,
): readonly DeviceResource[] {
  const one = devices.get(name);
  if (one !== undefined) return [one];
  const drives = [...devices.values()].filter(({ drive }) => drive?.changer === name);
  return drives.sort((a, b) => a.drive!.index - b.drive!.index);
}
