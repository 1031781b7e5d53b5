/** Which volume a device name of a guest's fstab means. */
import type { Fstab } from "./fstab.js";
import type { Volume } from "./volumes.js";

type Property = (volume: Volume) => string | undefined;

const uuid: Property = ({ content }) => (content.type === "other" ? undefined : content.uuid);
const label: Property = ({ content }) =>
  content.type === "other" || content.label === "" ? undefined : content.label;
const partUuid: Property = (volume) => volume.partUuid;
const partLabel: Property = (volume) => (volume.partLabel === "" ? undefined : volume.partLabel);

/** By the tag of fstab and the directory below /dev/disk. Identifiers are compared without regard to case. */
const TAGS: Readonly<Record<string, { property: Property; isIdentifier: boolean }>> = {
  UUID: { property: uuid, isIdentifier: true },
  LABEL: { property: label, isIdentifier: false },
  PARTUUID: { property: partUuid, isIdentifier: true },
  PARTLABEL: { property: partLabel, isIdentifier: false },
  "by-uuid": { property: uuid, isIdentifier: true },
  "by-label": { property: label, isIdentifier: false },
  "by-partuuid": { property: partUuid, isIdentifier: true },
  "by-partlabel": { property: partLabel, isIdentifier: false },
};

/** Disks by letter: virtio, SCSI or SATA, IDE, Xen. */
const LETTERED = /^\/dev\/(?:vd|sd|hd|xvd)([a-z]{1,2})(\d*)$/;
/** Disks by number. */
const NUMBERED = /^\/dev\/(?:nvme(\d{1,3})n1|mmcblk(\d{1,3}))(?:p(\d+))?$/;

/** Finds the volumes that an fstab names, among those in the order of their disks. */
export class VolumeFinder {
  readonly #volumes: readonly Volume[];
  /** Disk numbers by the letters of the guest: 0 for a. Disks that hold nothing but swap are not among the volumes. */
  readonly #byLetter: ReadonlyMap<number, number>;

  constructor(volumes: readonly Volume[], fstab: Fstab) {
    this.#volumes = volumes;
    this.#byLetter = lettersOf(volumes, fstab);
  }

  /** The volume; where several have the name, the first. Undefined: none has it. */
  find(device: string): Volume | undefined {
    const tagged = /^([A-Z]+)=(.*)$/.exec(device);
    if (tagged !== null) return this.#byTag(tagged[1]!, unquoted(tagged[2]!));
    const linked = /^\/dev\/disk\/(by-[a-z]+)\/(.+)$/.exec(device);
    if (linked !== null) return this.#byTag(linked[1]!, plainLink(linked[2]!));
    const logical = this.#volumes.find(({ logical }) => logical !== undefined && isLogical(device, logical));
    if (logical !== undefined) return logical;
    const lettered = LETTERED.exec(device);
    if (lettered !== null) return this.#byPlace(this.#byLetter.get(letterNumber(lettered[1]!)), lettered[2]!);
    const numbered = NUMBERED.exec(device);
    if (numbered === null) return undefined;
    const disks = disksOf(this.#volumes);
    return this.#byPlace(disks[Number(numbered[1] ?? numbered[2])], numbered[3] ?? "");
  }

  #byTag(tag: string, wanted: string): Volume | undefined {
    const { property, isIdentifier } = TAGS[tag] ?? {};
    if (property === undefined || wanted === "") return undefined;
    const text = isIdentifier === true ? wanted.toLowerCase() : wanted;
    return this.#volumes.find((volume) => property(volume) === text);
  }

  #byPlace(disk: number | undefined, partition: string): Volume | undefined {
    const wanted = partition === "" ? 0 : Number(partition);
    return this.#volumes.find((volume) => volume.disk.number === disk && volume.partition === wanted);
  }
}

/** `/dev/GROUP/NAME`, or with hyphens inside the names doubled `/dev/mapper/GROUP-NAME` */
function isLogical(device: string, names: readonly [group: string, name: string]): boolean {
  const mapped = names.map((name) => name.replaceAll("-", "--")).join("-");
  return device === `/dev/${names.join("/")}` || device === `/dev/mapper/${mapped}`;
}

function disksOf(volumes: readonly Volume[]): number[] {
  return [...new Set(volumes.map(({ disk }) => disk.number))].sort((a, b) => a - b);
}

/** A letter that fstab gives to a disk of swap is not one of the disks that are there. */
function lettersOf(volumes: readonly Volume[], { swaps }: Fstab): Map<number, number> {
  const taken = new Set<number>();
  for (const device of swaps) {
    const [, letters, partition] = LETTERED.exec(device) ?? [];
    if (letters !== undefined && partition === "") taken.add(letterNumber(letters));
  }
  const letters = new Map<number, number>();
  let next = 0;
  for (const disk of disksOf(volumes)) {
    while (taken.has(next)) next++;
    letters.set(next++, disk);
  }
  return letters;
}

/** a is 0, z is 25, aa is 26. */
function letterNumber(letters: string): number {
  return [...letters].reduce((number, letter) => number * 26 + letter.charCodeAt(0) - 96, 0) - 1;
}

function unquoted(value: string): string {
  return /^(["']).*\1$/s.test(value) ? value.slice(1, -1) : value;
}

/** udev writes bytes that do not go into names as \x20. */
function plainLink(name: string): string {
  return name.replace(/\\x([0-9a-f]{2})/gi, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}
