import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdirSync, openSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { endOf } from "../../common/sys/files.js";
import { asRoot } from "../../common/test-needs.js";
import { FreeBlocks } from "./free-blocks.js";

const MIB = 1024 * 1024;

/** An xfs mounted from a loop device, for this test. */
function mountedXfs(t: TestContext): { device: string; mount: string } {
  const top = scratchDirectory("free-blocks");
  const [backing, mount] = [join(top, "backing"), join(top, "mount")];
  mkdirSync(mount);
  writeFileSync(backing, "");
  truncateSync(backing, 320 * MIB);
  const device = execFileSync("losetup", ["-f", "--show", backing], { encoding: "utf8" }).trim();
  t.after(() => execFileSync("losetup", ["-d", device]));
  execFileSync("mkfs.xfs", ["-q", device]);
  execFileSync("mount", [device, mount]);
  t.after(() => execFileSync("umount", [mount]));
  return { device, mount };
}

function freeBytes(device: string, mount: string): number {
  execFileSync("fsfreeze", ["-f", mount]);
  const fd = openSync(device, constants.O_RDONLY | constants.O_DIRECT);
  try {
    const free = new FreeBlocks({ fd, size: endOf(fd), direct: true });
    return [...free.ranges(65_536)].reduce((sum, { start, end }) => sum + end - start, 0);
  } finally {
    closeSync(fd);
    execFileSync("fsfreeze", ["-u", mount]);
  }
}

test("a mounted file system is asked anew each time, past the cache of its device", (t) => {
  if (!asRoot(t)) return;
  const { device, mount } = mountedXfs(t);
  const before = freeBytes(device, mount);
  assert.ok(before > 200 * MIB);
  writeFileSync(join(mount, "new"), Buffer.alloc(32 * MIB, 1), { flush: true });
  assert.ok(freeBytes(device, mount) <= before - 31 * MIB);
});
