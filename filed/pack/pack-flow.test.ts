import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readlinkSync, writeFileSync, writeSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { EntryType, emptyRow, encodeXattrs } from "../../common/format/row.js";
import { decompressInto } from "../../common/format/zstd.js";
import { decodeFrame } from "../../proto/data/backup.js";
import { noise } from "../../test/helpers/random.js";
import { DirectoryHandle, newStat } from "../sys/stat.js";
import { removeTree, testDirectory } from "../sys/test-trees.js";
import { looksIncompressible } from "./compression.js";
import { PackPool, type PackPoolOptions, type PackResult } from "./pool.js";
import { FakeStore } from "./test-store.js";

let top = "";
let dir: DirectoryHandle;
before(() => {
  top = testDirectory("pack");
  dir = DirectoryHandle.open(undefined, top);
});
after(() => {
  dir.close();
  removeTree(top);
});

/** Pools of a test that failed would keep the process alive. */
const pools: PackPool[] = [];
afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close())));

interface Run {
  store: FakeStore;
  pool: PackPool;
  results: Map<string, PackResult>;
  submit: (name: string, change?: () => void) => Promise<void>;
}

function start(options: Partial<PackPoolOptions> = {}, store = new FakeStore()): Run {
  const results = new Map<string, PackResult>();
  const { send, claim } = store;
  const signal = new AbortController().signal;
  const pool = new PackPool({ workers: 2, jobId: 7, selfContained: false, send, claim, signal, ...options });
  pools.push(pool);
  const st = newStat();
  const submit = async (name: string, change?: () => void): Promise<void> => {
    dir.stat(name, st);
    const row = emptyRow(name, EntryType.file);
    row.mtimeSec = st.mtimeSec;
    row.mtimeNsec = st.mtimeNsec;
    change?.();
    const onDone = (result: PackResult): void => {
      assert.ok(!results.has(name), `${name} told twice`);
      results.set(name, result);
    };
    await pool.submit({
      key: name,
      row,
      blocks: st.blocks,
      dir,
      name,
      identity: st,
      compression: "auto",
      onDone,
    });
  };
  return { store, pool, results, submit };
}

test("members carry attributes, nanoseconds and odd names", async () => {
  const name = `n\xe4me ${"x".repeat(120)}`;
  writeFileSync(Buffer.from(`${top}/${name}`, "latin1"), "abc");
  const frames: Buffer[] = [];
  const store = new FakeStore();
  const send = async (message: Buffer): Promise<void> => void frames.push(message);
  const { pool } = start({ send }, store);
  const row = emptyRow(`sub\0${name}`, EntryType.file);
  row.mtimeSec = 5;
  row.mtimeNsec = 123;
  row.xattrs = encodeXattrs([{ name: "user.a", value: Buffer.from("1") }]);
  const identity = { ...newStat(), size: 3 };
  await new Promise<void>((resolve, reject) => {
    const onDone = (): void => resolve();
    pool
      .submit({ key: row.key, row, blocks: 8, dir: { path: top }, name, identity, compression: 3, onDone })
      .catch(reject);
  });
  const { rawBytes, data } = decodeFrame(frames[0]!);
  const raw = Buffer.alloc(rawBytes);
  decompressInto(raw, data);
  const text = raw.toString("latin1");
  assert.ok(text.includes(`path=job7/sub/${name}\n`));
  assert.ok(text.includes("mtime=5.000000123\n"));
  assert.ok(text.includes("SCHILY.xattr.user.a=1\n"));
  await pool.close();
});

test("compression by file: each level in frames of its own", async () => {
  const words = noise(60_000, "words");
  const text = Buffer.from(Array.from(words, (byte) => `${byte}${(byte * byte) % 251}`).join(" "));
  const lengths: number[] = [];
  for (const compression of ["none", "fast", "auto", 9] as const) {
    writeFileSync(`${top}/level`, text);
    const store = new FakeStore();
    const send = async (message: Buffer, onSent?: () => void): Promise<void> => {
      lengths.push(message.length);
      await store.send(message, onSent);
    };
    const { pool } = start({ send }, store);
    const identity = { ...newStat(), size: text.length };
    const row = emptyRow("level", EntryType.file);
    await pool.submit({
      key: "level",
      row,
      blocks: 8,
      dir,
      name: "level",
      identity,
      compression,
      onDone: () => undefined,
    });
    await pool.flush();
    await pool.close();
  }
  assert.equal(lengths.length, 4);
  const [none, fast, auto, best] = lengths as [number, number, number, number];
  assert.ok(none > fast && fast > auto && auto > best, `${lengths}`);
  assert.ok(none > text.length * 0.6, `${none} of ${text.length}`);
});

test("incompressible data is recognized, text is not taken for it", () => {
  assert.equal(looksIncompressible(noise(1 << 20, "random")), true);
  assert.equal(looksIncompressible(Buffer.from("lorem ipsum dolor ".repeat(60_000))), false);
  assert.equal(looksIncompressible(Buffer.from(noise(700_000, "b").toString("base64"))), false);
});

test("a read limit is asked for every byte, in units of its size, one after the other", async () => {
  let asked = 0;
  let largest = 0;
  let waiting = 0;
  const take = async (bytes: number): Promise<void> => {
    assert.equal(waiting++, 0);
    largest = Math.max(largest, bytes);
    await new Promise((resolve) => setImmediate(resolve));
    waiting--;
    asked += bytes;
  };
  writeFileSync(`${top}/limited`, noise(10 << 20, "limited"));
  writeFileSync(`${top}/limited2`, noise(1000, "limited2"));
  const correct = (bytes: number): void => {
    asked += bytes;
  };
  const { pool, submit } = start({ throttle: { unitBytes: 100_000, take, correct } });
  await submit("limited");
  await submit("limited2");
  await pool.flush();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(asked, (10 << 20) + 1000);
  assert.equal(largest, 100_000);
  await pool.close();
});

test("small files go on while a huge one is read", async () => {
  const fd = openSync(`${top}/huge`, "w");
  for (let i = 0; i < 16; i++) writeSync(fd, noise(4 << 20, `huge${i}`));
  closeSync(fd);
  const { pool, results, submit } = start({ workers: 1 });
  await submit("huge");
  for (let i = 0; i < 600; i++) {
    writeFileSync(`${top}/tiny${i}`, `tiny ${i}`);
    await submit(`tiny${i}`);
  }
  const order: string[] = [];
  await pool.flush();
  for (const name of results.keys()) order.push(name);
  assert.ok(order.indexOf("tiny0") < order.indexOf("huge"));
  await pool.close();
});

test("an error of send, a wrong claim answer and an abort end everything, and no descriptor stays", async () => {
  // Threads have some of their own.
  const descriptors = (): number =>
    readdirSync("/proc/self/fd").filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(top);
      } catch {
        return false;
      }
    }).length;
  const before = descriptors();
  writeFileSync(`${top}/x`, "x");
  const broken = start({ send: () => Promise.reject(new Error("line cut")) });
  await broken.submit("x");
  await assert.rejects(broken.pool.flush(), /line cut/);
  await assert.rejects(broken.submit("x"), /line cut/);
  await broken.pool.close();
  const wrong = start({ claim: () => Promise.resolve(Buffer.alloc(0)) });
  await wrong.submit("x");
  await assert.rejects(wrong.pool.flush(), { code: "PROTOCOL_ERROR" });
  await wrong.pool.close();
  const controller = new AbortController();
  const aborted = start({ signal: controller.signal, claim: () => new Promise(() => undefined) });
  await aborted.submit("x");
  const flushed = aborted.pool.flush();
  controller.abort(new Error("canceled"));
  await assert.rejects(flushed, /canceled/);
  await aborted.pool.close();
  assert.equal(aborted.results.size, 0);
  assert.equal(descriptors(), before);
});

test("a pool without tasks starts no thread", async () => {
  const { pool } = start();
  await pool.flush();
  await pool.close();
});
