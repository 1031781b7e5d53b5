/** For tests only: settings and a daemon's surroundings without a daemon. */
import { execFileSync } from "node:child_process";
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { asRoot, type Skippable, skipWithout } from "../../common/test-needs.js";
import { toFreezeSettings } from "../freeze/config.js";
import { type SnapshotContext, snapshotContext } from "./context.js";
import type { SnapshotSettings } from "./settings.js";

const MIB = 1024 * 1024;

interface Ending extends Skippable {
  after: (work: () => void) => void;
}

/** A new file system that is mounted until the test ends; undefined when the test cannot go on: then as `skipWithout`. */
export function mountedFileSystem(t: Ending, kind: "btrfs" | "xfs"): string | undefined {
  if (!asRoot(t)) return undefined;
  const image = join(scratchDirectory(kind), "image");
  const place = join(scratchDirectory(kind), "mounted");
  mkdirSync(place);
  writeFileSync(image, "");
  truncateSync(image, 320 * MIB);
  try {
    execFileSync(`mkfs.${kind}`, ["-q", image], { stdio: "pipe" });
    execFileSync("mount", ["-o", "loop", image, place], { stdio: "pipe" });
  } catch {
    skipWithout(`${kind} and loop devices`, t);
    return undefined;
  }
  t.after(() => execFileSync("umount", [place]));
  return place;
}

/** A resource with this provider, all else by default. */
export function snapshotSettings(
  provider: SnapshotSettings["provider"],
  more: Partial<SnapshotSettings> = {},
): SnapshotSettings {
  const freeze = toFreezeSettings(undefined, { hookDirectories: [], diagnostics: undefined as never });
  const usual = {
    name: "disks",
    vms: ["*"],
    pattern: "vm_%n-disk*",
    room: { percent: 15 },
    mount: undefined,
  };
  return { ...usual, provider, freeze, ...more };
}

/** What is reported is in `said`. */
export function testContext(
  snapshots: readonly SnapshotSettings[],
  hookDirectories: readonly string[] = [],
): SnapshotContext & { readonly said: string[] } {
  const said: string[] = [];
  const workingDirectory = scratchDirectory("snapshots");
  const config = { name: "a-fd", snapshots, workingDirectory, hookDirectories };
  return { ...snapshotContext(config, (line) => void said.push(line)), said };
}
