import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs, { closeSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { contentDigest } from "../../common/format/content.js";
import { ByteReader } from "../../common/format/varint.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { asRoot, skipWithout } from "../../common/test-needs.js";
import { loopDevice } from "../../test/helpers/loop-device.js";
import { noise } from "../../test/helpers/random.js";
import { makeSparse } from "../../test/helpers/sparse.js";
import { readPart } from "../pack/read-large.js";
import type { WorkerTask } from "../pack/task.js";
import { newStat } from "../sys/stat.js";
import { alignedMemory } from "./aligned.js";
import { type ImagePlan, ImageSource } from "./image-source.js";
import { emptyImage, hasTools, MIB, tool } from "./maps/testing.js";
import { readImageWindow } from "./read-window.js";

const KIB = 1024;

function source(path: string, isDevice: boolean, skipFree = false): ImageSource {
  const identity = { ...newStat(), size: isDevice ? 0 : statSync(path).size };
  const image = { isDevice, blockSize: 64 * KIB, skipFree };
  const task = { dirFd: -100, name: path, identity, sparse: false, image };
  return new ImageSource(task as unknown as WorkerTask, MIB);
}

/** With the descriptor closed when the test ends. */
function planned(t: TestContext, from: ImageSource): ImagePlan {
  const plan = from.plan();
  if (plan.opened !== undefined) t.after(() => closeSync(plan.opened!.fd));
  return plan;
}

/** Of the first window: its reply, and the digest of its first block. */
function firstWindow({ opened, windows }: ImagePlan, slot: Buffer) {
  const { fd, direct } = opened!;
  const reply = readImageWindow(
    { fd, direct, blockSize: 64 * KIB, plan: windows[0]!, before: undefined },
    slot,
  );
  return { reply, digest: readPart(new ByteReader(Buffer.from(reply.parts))).digest };
}

test("a file system that knows no direct reads is read through the cache", (t) => {
  // The kernel's own, which never learnt them.
  const path = "/sys/kernel/notes";
  if (!existsSync(path)) return skipWithout(path, t);
  const plan = planned(t, source(path, false));
  assert.deepEqual([plan.state, plan.opened!.direct], ["ok", false]);
  const { reply, digest } = firstWindow(plan, alignedMemory(MIB));
  assert.deepEqual([reply.state, reply.unstable, reply.direct], ["more", false, false]);
  assert.deepEqual(digest, contentDigest(readFileSync(path)));
});

test("a direct read that does not work is done again through the cache, and that is told", (t) => {
  const bytes = noise(MIB, "direct");
  const device = loopDevice(t, makeSparse(join(scratchDirectory("direct"), "backing"), MIB, [[0, bytes]]));
  if (device === undefined) return;
  const plan = planned(t, source(device, true));
  assert.equal(plan.opened!.direct, true);
  assert.equal(firstWindow(plan, alignedMemory(MIB)).reply.direct, true);
  // Memory at an odd address.
  const { reply, digest } = firstWindow(plan, alignedMemory(MIB + 4 * KIB).subarray(1, MIB + 1));
  assert.deepEqual([reply.state, reply.direct, reply.bytesRead], ["more", false, MIB]);
  assert.deepEqual(digest, contentDigest(bytes.subarray(0, 64 * KIB)));
});

test("direct reads that a device agrees to and then refuses go through the cache", (t) => {
  const bytes = noise(MIB, "agreed");
  const device = loopDevice(t, makeSparse(join(scratchDirectory("agreed"), "backing"), MIB, [[0, bytes]]));
  if (device === undefined) return;
  // A device of larger sectors than are read first: it is for the kernel to say so, which no loop device does.
  const { readSync } = fs;
  let refused = 0;
  let asks = false;
  const refusing = (fd: number, ...rest: unknown[]): number => {
    // To ask for the flags is to read as well.
    const wasAsking = asks;
    asks = true;
    const isDirect = !wasAsking && (flagsOf(fd) & constants.O_DIRECT) !== 0;
    asks = wasAsking;
    if (!isDirect) return Reflect.apply(readSync, fs, [fd, ...rest]);
    refused++;
    throw Object.assign(new Error("EINVAL: invalid argument, read"), { code: "EINVAL" });
  };
  fs.readSync = refusing as typeof readSync;
  syncBuiltinESMExports();
  t.after(() => {
    fs.readSync = readSync;
    syncBuiltinESMExports();
  });
  const plan = planned(t, source(device, true));
  assert.deepEqual([plan.state, plan.opened!.direct, refused], ["ok", false, 1]);
  assert.equal(flagsOf(plan.opened!.fd) & constants.O_DIRECT, 0);
  const { reply, digest } = firstWindow(plan, alignedMemory(MIB));
  assert.deepEqual([reply.state, reply.direct, reply.bytesRead], ["more", false, MIB]);
  assert.deepEqual(digest, contentDigest(bytes.subarray(0, 64 * KIB)));
});

/** How a descriptor was opened (proc(5)). */
function flagsOf(fd: number): number {
  const [, octal] = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))!;
  return Number.parseInt(octal!, 8);
}

test("a device without anything behind it says that, and not that it is no regular file", (t) => {
  if (!asRoot(t)) return;
  const node = join(scratchDirectory("no-device"), "disk");
  // No driver has this number (Documentation/admin-guide/devices.txt: for local use).
  execFileSync("mknod", [node, "b", "240", "255"]);
  const plan = source(node, true).plan();
  assert.deepEqual([plan.state, plan.error], ["failed", "no such device or address"]);
});

test("what is read of maps is told with the plan, once", (t) => {
  if (!hasTools(t, "mke2fs")) return;
  const file = emptyImage(64 * MIB);
  tool("mke2fs", "-q", "-F", "-t", "ext4", file);
  assert.equal(planned(t, source(file, false)).bytesRead, 0);
  const from = source(file, false, true);
  const plan = planned(t, from);
  assert.ok(plan.bytesRead > 64 * KIB && plan.bytesRead < 4 * MIB, `${plan.bytesRead} bytes`);
  assert.equal(plan.done, true);
  assert.equal(from.plan().bytesRead, 0);
});
