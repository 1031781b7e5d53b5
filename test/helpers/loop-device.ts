/** A file as a block device. */
import { execFileSync } from "node:child_process";
import { asRoot, type Skippable, skipWithout } from "../../common/test-needs.js";

interface Ending extends Skippable {
  after: (work: () => void) => void;
}

/**
 * Attaches the file to a loop device until the test ends; its path, or undefined when the test cannot go on: then as
 * `skipWithout`. `sectorBytes`: what the device calls a sector. @throws Error
 */
export function loopDevice(t: Ending, file: string, sectorBytes = 512): string | undefined {
  if (!asRoot(t)) return undefined;
  try {
    const args = ["-f", "--show", "-b", String(sectorBytes), file];
    const path = execFileSync("losetup", args, { encoding: "utf8", stdio: "pipe" }).trim();
    t.after(() => void execFileSync("losetup", ["-d", path]));
    return path;
  } catch {
    skipWithout("loop devices", t);
    return undefined;
  }
}
