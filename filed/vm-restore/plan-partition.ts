/** Partitions of a plan, and the file systems in them. */
import path from "node:path";
import { type Diagnostics, quoted } from "../../common/config/diagnostics.js";
import { type Block, integer, scalar, size, words, yesNo } from "../../common/config/spec.js";

/** What can be made; `none`: the partition stays as it is. */
export type Filesystem = "ext2" | "ext3" | "ext4" | "xfs" | "vfat" | "swap" | "none";

export interface PartitionSpec {
  /** As the guest numbers it. (Default: by its place in the list) */
  readonly number?: number | undefined;
  /** (Default: behind the one before) */
  readonly startBytes?: number | undefined;
  /** (Default: all that is left) */
  readonly sizeBytes?: number | undefined;
  /** Type as sfdisk(8) takes it: a UUID, hexadecimal digits, `linux`, `swap`, `uefi` … (Default: by the file system) */
  readonly type?: string | undefined;
  /** Of the partition, in a GPT. (Default: a new one) */
  readonly partUuid?: string | undefined;
  /** Of the partition, in a GPT. */
  readonly name?: string | undefined;
  /** The mark for firmware that boots from it. (Default: no) */
  readonly bootable: boolean;
  readonly filesystem: Filesystem;
  /** Of the file system, as the guest's fstab has it. (Default: a new one) */
  readonly uuid?: string | undefined;
  readonly label?: string | undefined;
  /** Further words for the program that makes the file system. */
  readonly options: readonly string[];
  /** Where in the guest it is mounted; undefined: nothing is restored into it. */
  readonly mount?: string | undefined;
}

/** A text of one form, for what becomes a word of a command. */
export function matching(pattern: RegExp, what: string) {
  return scalar((value) => {
    if (pattern.test(value)) return value;
    throw new Error(`${quoted(value)} is not ${what}`);
  });
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const VFAT_UUID = /^[0-9a-f]{4}-[0-9a-f]{4}$/i;
/** Bytes that the file system has for a label. */
const LABEL_BYTES: Readonly<Record<Filesystem, number>> = {
  ext2: 16,
  ext3: 16,
  ext4: 16,
  xfs: 12,
  vfat: 11,
  swap: 15,
  none: 0,
};

const mountPath = () =>
  scalar((value) => {
    if (value.startsWith("/") && path.normalize(value) === value && !/[\x00-\x1f]/.test(value))
      if (value === "/" || !value.endsWith("/")) return value;
    throw new Error(`${quoted(value)} is not an absolute path without "." and ".."`);
  });

export const partitionDirectives = {
  number: integer(1, 128),
  start: size(),
  size: size(),
  type: matching(/^[0-9A-Za-z-]{1,40}$/, "a type of partitions (see sfdisk(8))"),
  partUuid: matching(UUID, "a UUID"),
  name: matching(/^[^"\\\x00-\x1f]{1,36}$/, "a name of a partition (36 characters, no quotes)"),
  bootable: yesNo(),
  filesystem: words("ext2", "ext3", "ext4", "xfs", "vfat", "swap", "none"),
  uuid: matching(/^[0-9a-f-]{9,36}$/i, "a UUID"),
  // A word of a command that begins with a dash would be an option.
  label: matching(/^[^-\x00-\x1f][^\x00-\x1f]*$/, "a label"),
  mkfsOptions: matching(/^[^\x00-\x1f]*$/, "a line of options"),
  mount: mountPath(),
};

/** The typed partition; what contradicts itself is reported. */
export function toPartition(
  { values, place, at }: Block<typeof partitionDirectives>,
  diagnostics: Diagnostics,
): PartitionSpec {
  const filesystem = values.filesystem ?? "none";
  const wrong = (text: string): void => diagnostics.error(at, `${place}: ${text}`);
  if (values.mount !== undefined && (filesystem === "none" || filesystem === "swap"))
    wrong(`nothing can be mounted at ${values.mount}: Filesystem is ${filesystem}`);
  const isVfat = filesystem === "vfat";
  if (values.uuid !== undefined && !(isVfat ? VFAT_UUID : UUID).test(values.uuid))
    wrong(
      `UUID of ${filesystem} has the form ${isVfat ? "1A2B-3C4D" : "01234567-89ab-cdef-0123-456789abcdef"}`,
    );
  if (filesystem === "none" && (values.uuid ?? values.label ?? values.mkfsOptions) !== undefined)
    wrong("UUID, Label and MkfsOptions are those of a file system, and Filesystem is missing");
  const room = LABEL_BYTES[filesystem];
  if (values.label !== undefined && filesystem !== "none" && Buffer.byteLength(values.label) > room)
    wrong(`a label of ${filesystem} has at most ${room} bytes`);
  if (values.size === 0) wrong("Size is 0");
  return {
    number: values.number,
    startBytes: values.start,
    sizeBytes: values.size,
    type: values.type,
    partUuid: values.partUuid,
    name: values.name,
    bootable: values.bootable ?? false,
    filesystem,
    uuid: values.uuid,
    label: values.label,
    options: (values.mkfsOptions ?? "").split(/\s+/).filter(Boolean),
    mount: values.mount,
  };
}
