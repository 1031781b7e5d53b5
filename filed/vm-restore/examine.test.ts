/** What stands against a plan, before anything is touched. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { BackupError } from "../../common/errors.js";
import { asRoot } from "../../common/test-needs.js";
import { loopDevice } from "../../test/helpers/loop-device.js";
import { Bench, MIB } from "./testing.js";

test("what stands against a plan is all told, and nothing is touched", async (t) => {
  if (!asRoot(t)) return;
  const bench = new Bench(t);
  const used = join(bench.dir, "used.raw");
  writeFileSync(used, "");
  truncateSync(used, 64 * MIB);
  const loop = loopDevice(t, used);
  if (loop === undefined) return;
  const small = join(bench.dir, "small.raw");
  writeFileSync(small, "");
  truncateSync(small, 8 * MIB);
  const root = { Filesystem: "ext4", Mount: "/" };
  const other = (mount: string): object => ({ Filesystem: "ext4", Mount: mount });
  const plan = bench.plan([
    { Device: used, Size: "64m", Partition: [root] },
    { Device: small, Size: "16m", Partition: [other("/a")] },
    { Device: "/dev/basalt-none", Size: "16m", Partition: [other("/b")] },
    { Device: join(bench.dir, "none/disk"), Size: "16m", Partition: [other("/c")] },
    {
      Device: join(bench.dir, "tight.raw"),
      Size: "16m",
      Partition: [{ Size: "10m" }, { Size: "10m" }, other("/d")],
    },
    { Device: "/dev/basalt-none/disk", Size: "16m", Partition: [other("/e")] },
  ]);
  await assert.rejects(bench.run(plan), (error: BackupError) => {
    assert.equal(error.code, "RESTORE_VM");
    for (const words of [
      /^nothing was touched: /,
      new RegExp(`used.raw is in use: attached to ${loop}`),
      /small.raw is too small: it has 8,388,608 bytes, 16,777,216 are needed/,
      /\/dev\/basalt-none is missing, and no name of a logical volume/,
      /none\/disk is missing, and so is its directory/,
      /tight.raw: its partitions do not fit/,
      /basalt-none\/disk is missing, and cannot be made as a logical volume/,
    ])
      assert.match(error.message, words);
    return true;
  });
  assert.ok(!existsSync(join(bench.dir, "tight.raw")));
  assert.deepEqual(readFileSync(small), Buffer.alloc(8 * MIB));
});

test("a device that is mounted, or open in a process, is in use; so is the disk of its partition", async (t) => {
  const bench = new Bench(t);
  const backing = join(bench.dir, "backing");
  writeFileSync(backing, "");
  truncateSync(backing, 32 * MIB);
  const device = loopDevice(t, backing);
  if (device === undefined) return;
  const plan = bench.plan([
    { Device: device, Size: "16m", Overwrite: "yes", Partition: [{ Filesystem: "ext4", Mount: "/" }] },
  ]);
  execFileSync("mkfs.ext4", ["-q", device]);
  const at = join(bench.dir, "at");
  mkdirSync(at);
  execFileSync("mount", [device, at]);
  try {
    await assert.rejects(bench.run(plan), new RegExp(`${device} is in use: mounted at ${at}`));
  } finally {
    execFileSync("umount", [at]);
  }
  const reader = spawn("sh", ["-c", `exec 3<${device}; echo; read line`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    await new Promise((resolve) => reader.stdout.once("data", resolve));
    await assert.rejects(bench.run(plan), new RegExp(`in use: open in process ${reader.pid} \\(sh\\)`));
  } finally {
    reader.stdin.end();
    await new Promise((resolve) => reader.once("close", resolve));
  }
  await bench.run(plan);
  bench.released(plan);
});
