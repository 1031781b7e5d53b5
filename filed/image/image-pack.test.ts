import assert from "node:assert/strict";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { loopDevice } from "../../test/helpers/loop-device.js";
import { noise } from "../../test/helpers/random.js";
import { type FilePiece, makeSparse, writeInto } from "../../test/helpers/sparse.js";
import { PackPool, type PackPoolOptions, type PackResult } from "../pack/pool.js";
import type { ImageTask } from "../pack/task.js";
import { FakeStore } from "../pack/test-store.js";
import { openImage } from "./image-root.js";
import { emptyImage, hasTools, tool } from "./maps/testing.js";

const KIB = 1024;
const MIB = 1024 * KIB;
const TIB = 1024 ** 4;
const top = scratchDirectory("image");

/** Pools of a test that failed would keep the process alive. */
const pools: PackPool[] = [];
afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close())));

interface Read {
  result: PackResult;
  notes: string[];
}

interface Started {
  store: FakeStore;
  pool: PackPool;
  submit: (path: string, image?: Partial<ImageTask>) => Promise<Read>;
}

function start(options: Partial<PackPoolOptions> = {}, store = new FakeStore()): Started {
  const { send, claim } = store;
  const { signal } = new AbortController();
  const pool = new PackPool({ workers: 2, jobId: 7, selfContained: false, send, claim, signal, ...options });
  pools.push(pool);
  const submit = async (path: string, image: Partial<ImageTask> = {}): Promise<Read> => {
    const { parent, name, stat, image: entry } = openImage(path);
    const notes: string[] = [];
    const done = new Promise<PackResult>((resolve, reject) => {
      pool
        .submit({
          key: path.slice(1).replaceAll("/", "\0"),
          row: emptyRow("image", EntryType.file),
          blocks: stat.blocks,
          dir: parent,
          name,
          identity: stat,
          compression: "fast",
          image: { ...entry, blockSize: 64 * KIB, skipFree: false, ...image },
          onNote: (text) => notes.push(text),
          onDone: resolve,
        })
        .catch(reject);
    });
    const result = await done;
    parent.close();
    return { result, notes };
  };
  return { store, pool, submit };
}

function sparseFile(name: string, size: number, pieces: readonly FilePiece[]): string {
  return makeSparse(join(top, name), size, pieces);
}

/** [length, hex digest or "zero"] of each part. */
function partsOf(store: FakeStore, { content }: PackResult): [number, string][] {
  const { parts } = store.contents.get(content!.toString("hex"))!;
  const out: [number, string][] = [];
  for (let at = 0; at < parts.length; at += PART_BYTES) {
    const digest = parts.subarray(at + 4, at + PART_BYTES);
    out.push([parts.readUInt32LE(at), digest.equals(ZERO_DIGEST) ? "zero" : digest.toString("hex")]);
  }
  return out;
}

/** Descriptors of this process that lead below the directory. */
function openBelow(directory: string): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(`${directory}/`) ? [target] : [];
    } catch {
      return [];
    }
  });
}

test("blocks are fixed and aligned, zeros and holes are parts without bytes", async () => {
  const a = noise(64 * KIB, "a");
  const b = noise(100, "b");
  const size = 3 * MIB + 1000;
  const path = sparseFile("fixed", size, [
    [128 * KIB, a],
    [MIB + 10, b],
    [2 * MIB, Buffer.alloc(200 * KIB)],
    [size - 1, Buffer.of(1)],
  ]);
  const { store, submit } = start();
  const { result } = await submit(path);
  assert.equal(result.kind, "ok");
  assert.equal(result.size, size);
  assert.equal(result.unstable, false);
  assert.ok(store.contentOf(result).equals(readFileSync(path)));
  const lengths = partsOf(store, result).map(([length, digest]) => (digest === "zero" ? -length : length));
  const tail = size % (64 * KIB);
  assert.deepEqual(lengths, [
    -128 * KIB,
    64 * KIB,
    -(MIB - 192 * KIB),
    64 * KIB,
    -(2 * MIB - 64 * KIB),
    tail,
  ]);
  assert.ok(result.bytesRead <= 64 * KIB * 7, `${result.bytesRead} bytes read`);
  assert.deepEqual(openBelow(top), []);
});

test("the identity is the same whether zeros are holes or bytes, and whatever the threads do", async () => {
  const pieces = Array.from({ length: 12 }, (_, i): [number, Buffer] => [
    i * 640 * KIB,
    noise(80 * KIB, `p${i}`),
  ]);
  const size = 12 * MIB;
  const path = sparseFile("holes", size, pieces);
  const full = join(top, "full");
  writeFileSync(full, readFileSync(path));
  const one = start({ workers: 1 });
  const { result } = await one.submit(path);
  for (const workers of [2, 4]) {
    const { store, submit } = start({ workers });
    const other = await submit(full);
    assert.ok(other.result.content!.equals(result.content!));
    assert.equal(other.result.bytesRead, size);
    assert.ok(store.contentOf(other.result).equals(readFileSync(path)));
  }
});

test("only changed blocks are sent again, whichever block size", async () => {
  for (const blockSize of [4 * KIB, 64 * KIB, MIB]) {
    const path = join(top, `change${blockSize}`);
    writeFileSync(path, noise(6 * MIB, "old"));
    const first = start();
    await first.submit(path, { blockSize });
    const had = new Set(first.store.chunks.keys());
    assert.equal(had.size, (6 * MIB) / blockSize);
    writeInto(
      path,
      [0, 3 * MIB + 17, 6 * MIB - 3].map((at) => [at, noise(3, `new${at}`)]),
    );
    const again = start({}, first.store);
    const { result } = await again.submit(path, { blockSize });
    assert.equal([...first.store.chunks.keys()].filter((digest) => !had.has(digest)).length, 3);
    assert.ok(first.store.contentOf(result).equals(readFileSync(path)));
  }
});

test("four terabytes with a little data cost no more than their data", async () => {
  const data = noise(300 * KIB, "far");
  const path = sparseFile("huge", 4 * TIB, [
    [TIB + 12_345, data],
    [4 * TIB - 5000, Buffer.from("the end")],
  ]);
  const { store, submit } = start();
  const { result } = await submit(path);
  assert.equal(result.size, 4 * TIB);
  assert.ok(result.bytesRead < MIB, `${result.bytesRead} bytes read`);
  const parts = partsOf(store, result);
  assert.equal(
    parts.reduce((sum, [length]) => sum + length, 0),
    4 * TIB,
  );
  assert.ok(parts.length < 2200, `${parts.length} parts`);
  assert.equal(parts.filter(([, digest]) => digest !== "zero").length, 6);
});

test("a file of holes alone, one of a single block, one that is small", async () => {
  const { store, submit } = start();
  const empty = await submit(sparseFile("empty", 10 * MIB, []));
  assert.deepEqual(partsOf(store, empty.result), [[10 * MIB, "zero"]]);
  assert.equal(empty.result.bytesRead, 0);
  const small = await submit(sparseFile("small", 5000, [[0, noise(5000, "small")]]));
  assert.equal(small.result.parts, false);
  assert.equal(store.contentOf(small.result).length, 5000);
});

test("under a read limit a window is no larger than a unit of it", async () => {
  const path = join(top, "limited");
  writeFileSync(path, noise(3 * MIB, "limited"));
  const asked: number[] = [];
  const take = async (bytes: number): Promise<void> => void asked.push(bytes);
  const corrected: number[] = [];
  const correct = (bytes: number): void => void corrected.push(bytes);
  const { store, submit } = start({ throttle: { unitBytes: 200_000, take, correct } });
  const { result } = await submit(path);
  assert.ok(store.contentOf(result).equals(readFileSync(path)));
  assert.equal(
    [...asked, ...corrected].reduce((sum, bytes) => sum + bytes, 0),
    3 * MIB,
  );
  assert.equal(Math.max(...corrected), 192 * KIB - 200_000);
});

test("what is read of maps of free space counts under a read limit, beside the windows", async (t) => {
  if (!hasTools(t, "mke2fs")) return;
  const path = emptyImage(64 * MIB);
  tool("mke2fs", "-q", "-F", "-t", "ext4", path);
  let paid = 0;
  const add = (bytes: number): void => {
    paid += bytes;
  };
  const throttle = { unitBytes: MIB, take: async (bytes: number) => add(bytes), correct: add };
  const { submit } = start({ throttle });
  const { result } = await submit(path, { skipFree: true });
  assert.equal(result.kind, "ok");
  assert.equal(paid, result.bytesRead);
});

test("what changes, shrinks, vanishes or is exchanged while it is read is told, and descriptors are closed", async () => {
  const directory = join(top, "moving");
  mkdirSync(directory);
  const path = join(directory, "disk");
  writeFileSync(path, noise(40 * MIB, "moving"));
  let windows = 0;
  const store = new FakeStore();
  const claim = async (digests: Buffer): Promise<Buffer> => {
    if (++windows === 2) truncateSync(path, 30 * MIB);
    return store.claim(digests);
  };
  const shrunk = await start({ claim }, store).submit(path);
  assert.equal(shrunk.result.kind, "ok");
  assert.equal(shrunk.result.unstable, true);
  assert.equal(shrunk.result.size, 40 * MIB);
  const { pool } = start({}, store);
  const { parent, name, stat } = openImage(path);
  renameSync(path, `${path}-gone`);
  const gone = await new Promise<PackResult>((resolve) => {
    const file = { key: "x", row: emptyRow("x", EntryType.file), blocks: stat.blocks, dir: parent, name };
    const image = { isDevice: false, blockSize: 4096, skipFree: false };
    void pool.submit({ ...file, identity: stat, compression: "auto", image, onDone: resolve });
  });
  assert.equal(gone.kind, "vanished");
  parent.close();
  assert.deepEqual(openBelow(directory), []);
});

test("a pool that is closed in the middle lets go of the image", async () => {
  const directory = join(top, "aborted");
  mkdirSync(directory);
  const path = join(directory, "disk");
  writeFileSync(path, noise(20 * MIB, "aborted"));
  for (const when of [1, 3, undefined]) {
    const abort = new AbortController();
    let claims = 0;
    const claim = async (digests: Buffer): Promise<Buffer> => {
      if (++claims === when) abort.abort(new Error("enough"));
      return Buffer.alloc(digests.length / 32);
    };
    const { pool } = start({ claim, signal: abort.signal });
    const { parent, name, stat } = openImage(path);
    const file = { key: "x", row: emptyRow("x", EntryType.file), blocks: stat.blocks, dir: parent, name };
    const image = { isDevice: false, blockSize: 65536, skipFree: false };
    await pool.submit({ ...file, identity: stat, compression: "auto", image, onDone: () => undefined });
    parent.close();
    if (when !== undefined) await assert.rejects(pool.flush(), /enough/);
    await pool.close();
    assert.deepEqual(openBelow(directory), []);
  }
});

test("a block device is read to its end, whatever its node says", async (t) => {
  const bytes = Buffer.concat([noise(3 * MIB, "device"), Buffer.alloc(5 * MIB), noise(512, "last")]);
  const path = join(top, "backing");
  writeFileSync(path, bytes);
  const loop = loopDevice(t, path);
  if (loop === undefined) return;
  const { store, submit } = start();
  const { result } = await submit(loop);
  assert.equal(result.kind, "ok");
  assert.equal(result.unstable, false);
  assert.equal(result.size, bytes.length);
  assert.ok(store.contentOf(result).equals(bytes));
  assert.deepEqual(partsOf(store, result).at(-2), [5 * MIB, "zero"]);
});
