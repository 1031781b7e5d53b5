import assert from "node:assert/strict";
import { closeSync, constants, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { endOf } from "../../common/sys/files.js";
import { loopDevice } from "../../test/helpers/loop-device.js";
import { FreeBlocks } from "./free-blocks.js";
import { emptyImage, hasTools, MIB, tool, whileFrozen, whileMounted } from "./maps/testing.js";

function freeBytes(device: string): number {
  const fd = openSync(device, constants.O_RDONLY | constants.O_DIRECT);
  try {
    const free = new FreeBlocks({ fd, size: endOf(fd), direct: true });
    return [...free.ranges(65_536)].reduce((sum, { start, end }) => sum + end - start, 0);
  } finally {
    closeSync(fd);
  }
}

test("a mounted file system is asked anew each time, past the cache of its device", (t) => {
  if (!hasTools(t, "mkfs.xfs", "fsfreeze")) return;
  const device = loopDevice(t, emptyImage(320 * MIB));
  if (device === undefined) return;
  tool("mkfs.xfs", "-q", device);
  whileMounted(device, "rw", (root) => {
    const before = whileFrozen(root, () => freeBytes(device));
    assert.ok(before > 200 * MIB);
    writeFileSync(join(root, "new"), Buffer.alloc(32 * MIB, 1), { flush: true });
    assert.ok(whileFrozen(root, () => freeBytes(device)) <= before - 31 * MIB);
  });
});
