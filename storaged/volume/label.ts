/**
 * The label: first record of every volume, and the rules for volume names. The JSON is part of the volume format
 * (docs/volume-format.md); unknown keys are kept out of the way, unknown formats are refused.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { BackupError } from "../../common/errors.js";
import { encodeRecord, RecordKind } from "../../common/format/frame.js";
import { GarbledInput } from "../../common/format/varint.js";
import { isUuid, type JsonObject, numberOf, parseObject, textOf } from "./json.js";

export interface VolumeLabel {
  format: 1;
  volume: string;
  /** Lower-case UUID with dashes, made anew at every labelling: tells a relabelled volume from its former self. */
  volumeUuid: string;
  pool: string;
  mediaType: string;
  /** Name of the storage daemon that made it. */
  storage: string;
  createdMs: number;
  /** The pool's whole definition when it was made, for scans of volumes (storaged/scan/pools.ts). (Default: none) */
  poolDefinition?: JsonObject;
}

/** Longest volume name. */
export const MAX_VOLUME_NAME = 127;

/** True for letters, digits and `-_.:`, beginning with a letter, digit or `_`, of at most MAX_VOLUME_NAME. */
export function isVolumeName(name: string): boolean {
  return name.length <= MAX_VOLUME_NAME && /^[A-Za-z0-9_][A-Za-z0-9_.:-]*$/.test(name);
}

/** @throws BackupError VOLUME_NAME_INVALID */
export function checkVolumeName(name: string): void {
  if (isVolumeName(name)) return;
  throw new BackupError(
    "VOLUME_NAME_INVALID",
    `Volume name ${JSON.stringify(name.slice(0, 140))} is not valid: letters, digits and -_.: only, ` +
      `beginning with a letter, digit or _, at most ${MAX_VOLUME_NAME}`,
  );
}

/** Path of a volume's file: its name in the directory of its device. @throws BackupError VOLUME_NAME_INVALID */
export function volumePath(directory: string, name: string): string {
  checkVolumeName(name);
  return join(directory, name);
}

/** A label with a fresh UUID. @throws BackupError VOLUME_NAME_INVALID */
export function newLabel(fields: Omit<VolumeLabel, "format" | "volumeUuid">): VolumeLabel {
  checkVolumeName(fields.volume);
  return { format: 1, volumeUuid: randomUUID(), ...fields };
}

/** The label as a complete record. */
export function encodeLabel(label: VolumeLabel): Buffer {
  return encodeRecord(RecordKind.label, Buffer.from(JSON.stringify(label), "utf8"));
}

/** @throws GarbledInput */
export function decodeLabel(body: Buffer): VolumeLabel {
  const fields = parseObject(body, "label");
  if (fields.format !== 1) {
    throw new GarbledInput(`volume format ${String(fields.format)}: this program knows format 1`);
  }
  const label: VolumeLabel = {
    format: 1,
    volume: textOf(fields, "volume", "label"),
    volumeUuid: textOf(fields, "volumeUuid", "label"),
    pool: textOf(fields, "pool", "label"),
    mediaType: textOf(fields, "mediaType", "label"),
    storage: textOf(fields, "storage", "label"),
    createdMs: numberOf(fields, "createdMs", "label"),
  };
  if (!isVolumeName(label.volume)) throw new GarbledInput("label with an invalid volume name");
  if (!isUuid(label.volumeUuid)) throw new GarbledInput("label with an invalid UUID");
  const { poolDefinition } = fields;
  if (typeof poolDefinition === "object" && poolDefinition !== null && !Array.isArray(poolDefinition)) {
    label.poolDefinition = poolDefinition as JsonObject;
  }
  return label;
}
