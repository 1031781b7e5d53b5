import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { raw } from "../../common/sys/native.js";
import { asRoot } from "../../common/test-needs.js";
import { attachLoop, detachLoop, loopLabel, loopsLabelled } from "./loop.js";

const BLOCK = 4096;

/** Four blocks of one letter each. */
function lettered(): string {
  const file = join(scratchDirectory("loop"), "file");
  writeFileSync(file, Buffer.concat(["a", "b", "c", "d"].map((letter) => Buffer.alloc(BLOCK, letter))));
  return file;
}

async function gone(label: string): Promise<void> {
  for (let tries = 0; loopsLabelled(label).length > 0 && tries < 500; tries++) await sleep(20);
  assert.deepEqual(loopsLabelled(label), []);
}

async function attaches(t: TestContext): Promise<void> {
  if (!asRoot(t)) return;
  const file = lettered();
  const label = `test-loop-${process.pid}`;
  for (const writable of [false, true]) {
    const loop = attachLoop({ file, offset: BLOCK, size: 2 * BLOCK, writable, label });
    try {
      assert.equal(loopLabel(loop.path), label);
      assert.deepEqual(loopsLabelled(label.slice(0, -1)), [loop.path]);
      assert.equal(readFileSync(loop.path, "latin1"), "b".repeat(BLOCK) + "c".repeat(BLOCK));
      if (writable) writeFileSync(loop.path, Buffer.alloc(BLOCK, "x"), { flag: "r+" });
      else assert.throws(() => writeFileSync(loop.path, "x", { flag: "r+" }), { code: /EPERM|EACCES|EROFS/ });
    } finally {
      loop.close();
    }
    await gone(label);
  }
  assert.equal(readFileSync(file, "latin1").slice(BLOCK, BLOCK + 2), "xx");
}

test("a stretch of a file is a device until its last user closes it", attaches);

test("the same on a Linux before 5.8", async (t) => {
  const { ioctl } = raw;
  t.mock.method(raw, "ioctl", (fd: number, request: number, value: number) =>
    ioctl(fd, request === 0x4c0a ? 0x4cff : request, value),
  );
  await attaches(t);
});

test("what cannot be attached is named, and no device is taken", (t) => {
  if (!asRoot(t)) return;
  const label = `test-loop-${process.pid}`;
  const source = { offset: 0, size: 0, writable: false, label };
  assert.throws(() => attachLoop({ ...source, file: "/nonexistent" }), /cannot attach .* no such file/);
  assert.throws(
    () => attachLoop({ ...source, file: "/dev/null" }),
    /cannot attach \/dev\/null to a loop device/,
  );
  const loop = attachLoop({ ...source, file: lettered() });
  detachLoop(loop.path);
  loop.close();
  assert.equal(loopLabel("/dev/null"), undefined);
  assert.equal(loopLabel("/nonexistent"), undefined);
});
