import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { noise, Random } from "../../test/helpers/random.js";
import { Overlay } from "./overlay.js";

const SIZE = 100_000;
const disk = noise(SIZE, "base");
const base = {
  sizeBytes: SIZE,
  read: async (offset: number, length: number) => Buffer.from(disk.subarray(offset, offset + length)),
};

async function overlay(t: TestContext, limitBytes?: number): Promise<Overlay> {
  const opened = await Overlay.open(base, join(scratchDirectory("overlay"), "file"), limitBytes);
  t.after(() => opened.close());
  return opened;
}

test("reads give what was written last, else the image, which stays as it was", async (t) => {
  const over = await overlay(t);
  const expected = Buffer.from(disk);
  const random = new Random(7);
  for (let i = 0; i < 200; i++) {
    const offset = random.below(SIZE);
    const length = 1 + random.below(Math.min(10_000, SIZE - offset));
    const bytes = noise(length, `write ${i}`);
    bytes.copy(expected, offset);
    await over.write(offset, bytes);
    const at = random.below(SIZE);
    const until = at + 1 + random.below(SIZE - at);
    assert.ok(
      (await over.read(at, until - at)).equals(expected.subarray(at, until)),
      `${i}: ${at} to ${until}`,
    );
  }
  assert.ok((await over.read(0, SIZE)).equals(expected));
  assert.ok((await base.read(0, SIZE)).equals(noise(SIZE, "base")));
});

test("writes into the same place at the same time all arrive", async (t) => {
  const over = await overlay(t);
  const writes = Array.from({ length: 50 }, (_, i) => over.write(SIZE - 60 + i, Buffer.of(i)));
  await Promise.all(writes);
  assert.deepEqual(await over.read(SIZE - 60, 50), Buffer.from(Array.from({ length: 50 }, (_, i) => i)));
  assert.deepEqual(await over.read(SIZE - 10, 10), disk.subarray(SIZE - 10));
});

test("more than the limit is refused, and what is there stays", async (t) => {
  const over = await overlay(t, 3 * 4096);
  await over.write(0, Buffer.alloc(8192));
  await assert.rejects(over.write(20_000, Buffer.alloc(8192)), { code: "OVERLAY_FULL" });
  await over.write(50, Buffer.of(1));
  assert.deepEqual(await over.read(50, 2), Buffer.of(1, 0));
  assert.deepEqual(await over.read(20_000, 10), disk.subarray(20_000, 20_010));
});
