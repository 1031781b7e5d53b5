/** File system types by device, as /proc/self/mountinfo names them. */
import { readFileSync } from "node:fs";

/** Looks types up; reads the table again when a device is new. */
export class MountTypes {
  #types: Map<string, string> | undefined;
  readonly #read: () => string;

  constructor(read: () => string = () => readFileSync("/proc/self/mountinfo", "latin1")) {
    this.#read = read;
  }

  /** Lower-case type such as "ext4"; undefined when the device is mounted nowhere here. */
  typeOf(major: number, minor: number): string | undefined {
    const device = `${major}:${minor}`;
    const known = this.#types?.get(device);
    if (known !== undefined) return known;
    this.#types = parseMountInfo(this.#read());
    return this.#types.get(device);
  }
}

function parseMountInfo(text: string): Map<string, string> {
  const types = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [front, back] = line.split(" - ");
    const device = front?.split(" ")[2];
    const type = back?.split(" ")[0];
    if (device !== undefined && type !== undefined) types.set(device, type.toLowerCase());
  }
  return types;
}
