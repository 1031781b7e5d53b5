import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { MAX_WHOLE_BYTES, PART_BYTES } from "../../common/format/content.js";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { noise } from "../../test/helpers/random.js";
import { DirectoryHandle, newStat } from "../sys/stat.js";
import { removeTree, testDirectory } from "../sys/test-trees.js";
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
  submit: (name: string, change?: () => void, from?: DirectoryHandle) => Promise<void>;
}

function start(options: Partial<PackPoolOptions> = {}, store = new FakeStore()): Run {
  const results = new Map<string, PackResult>();
  const { send, claim } = store;
  const signal = new AbortController().signal;
  const pool = new PackPool({ workers: 2, jobId: 7, selfContained: false, send, claim, signal, ...options });
  pools.push(pool);
  const st = newStat();
  const submit = async (name: string, change?: () => void, from = dir): Promise<void> => {
    from.stat(name, st);
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
      dir: from,
      name,
      identity: st,
      compression: "auto",
      onDone,
    });
  };
  return { store, pool, results, submit };
}

test("sizes around every boundary come back byte for byte", async () => {
  const sizes = [1, 511, 512, 513, 4096, 300_000, MAX_WHOLE_BYTES - 1, MAX_WHOLE_BYTES];
  sizes.push(MAX_WHOLE_BYTES + 1, 4 << 20, (4 << 20) + 1, 9_999_999);
  const { store, pool, results, submit } = start();
  for (const size of sizes) {
    writeFileSync(`${top}/size${size}`, noise(size, `s${size}`));
    await submit(`size${size}`);
  }
  await pool.flush();
  for (const size of sizes) {
    const result = results.get(`size${size}`)!;
    assert.equal(result.kind, "ok");
    assert.equal(result.size, size);
    assert.equal(result.parts, size > MAX_WHOLE_BYTES);
    assert.equal(result.unstable, false);
    assert.equal(result.bytesRead, size);
    assert.ok(store.contentOf(result).equals(readFileSync(`${top}/size${size}`)));
  }
  assert.ok(store.members.includes("job7/size1"));
  assert.ok(store.members.some((name) => name.startsWith("job7/.basalt/parts/")));
  assert.equal(store.open.size, 0);
  // The same again: everything is known, no frame is sent.
  const again = start({}, store);
  const { frames } = store;
  for (const size of sizes) await again.submit(`size${size}`);
  await again.pool.flush();
  assert.equal(store.frames, frames);
  for (const size of sizes) {
    assert.ok(again.results.get(`size${size}`)!.content!.equals(results.get(`size${size}`)!.content!));
  }
  await pool.close();
  await again.pool.close();
});

test("thousands of small files share frames and claims", async () => {
  const { store, pool, results, submit } = start();
  for (let i = 0; i < 3000; i++) {
    writeFileSync(`${top}/many${i}`, `content ${i % 1500}\n`);
    await submit(`many${i}`);
  }
  await pool.flush();
  assert.equal(results.size, 3000);
  for (const [name, result] of results) {
    assert.ok(store.contentOf(result).equals(readFileSync(`${top}/${name}`)));
  }
  assert.ok(store.frames < 20, `${store.frames} frames`);
  assert.ok(store.claims < 40, `${store.claims} claims`);
  await pool.close();
});

test("a self-contained job stores every small file as a member and asks nothing", async () => {
  const { store, pool, submit } = start({ selfContained: true });
  for (const name of ["twin1", "twin2"]) {
    writeFileSync(`${top}/${name}`, "the same");
    await submit(name);
  }
  await pool.flush();
  assert.deepEqual(store.members.sort(), ["job7/twin1", "job7/twin2"]);
  assert.equal(store.claims, 0);
  await pool.close();
});

test("holes are not read, zeros are not stored", async () => {
  const fd = openSync(`${top}/sparse`, "w");
  ftruncateSync(fd, 5 * 1024 ** 3);
  writeSync(fd, noise(200_000, "island"), 0, 200_000, 3 * 1024 ** 3);
  closeSync(fd);
  writeFileSync(`${top}/zeros`, Buffer.alloc(6 << 20));
  const { store, pool, results, submit } = start();
  await submit("sparse");
  await submit("zeros");
  await pool.flush();
  const sparse = results.get("sparse")!;
  assert.equal(sparse.size, 5 * 1024 ** 3);
  assert.ok(sparse.bytesRead < 1 << 20, `${sparse.bytesRead} bytes read`);
  const { parts } = store.contents.get(sparse.content!.toString("hex"))!;
  assert.equal(parts.readUInt32LE(0), 0x8000_0000, "the first hole in parts of 2 GiB");
  assert.equal(store.contents.get(results.get("zeros")!.content!.toString("hex"))!.parts.length, PART_BYTES);
  await pool.close();
});

test("files that change, vanish or turn into something else", async () => {
  const { store, pool, results, submit } = start();
  for (const name of ["gone", "shrunk", "grown", "link", "emptied", "rewritten"]) {
    writeFileSync(`${top}/${name}`, noise(100_000, name));
  }
  for (const name of ["big-gone", "big-small", "big-shrunk", "big-grown"]) {
    writeFileSync(`${top}/${name}`, noise(3 << 20, name));
  }
  await submit("gone", () => rmSync(`${top}/gone`));
  await submit("shrunk", () => truncateSync(`${top}/shrunk`, 10));
  await submit("grown", () => appendFileSync(`${top}/grown`, noise(3 << 20, "more")));
  await submit("emptied", () => truncateSync(`${top}/emptied`, 0));
  await submit("rewritten", () => writeFileSync(`${top}/rewritten`, noise(100_000, "other")));
  await submit("link", () => {
    rmSync(`${top}/link`);
    symlinkSync("/etc/passwd", `${top}/link`);
  });
  await submit("big-gone", () => rmSync(`${top}/big-gone`));
  await submit("big-small", () => truncateSync(`${top}/big-small`, 5));
  await submit("big-shrunk", () => truncateSync(`${top}/big-shrunk`, 2 << 20));
  await submit("big-grown", () => appendFileSync(`${top}/big-grown`, "more"));
  await pool.flush();
  for (const name of ["gone", "big-gone"]) assert.equal(results.get(name)!.kind, "vanished");
  assert.equal(results.get("link")!.kind, "failed");
  assert.match(results.get("link")!.error!, /not a regular file any more/);
  for (const name of ["shrunk", "grown", "emptied", "rewritten", "big-small", "big-shrunk", "big-grown"]) {
    const result = results.get(name)!;
    assert.equal(result.kind, "ok", name);
    assert.equal(result.unstable, true, name);
    assert.ok(store.contentOf(result).equals(readFileSync(`${top}/${name}`)), name);
    assert.equal(result.size, readFileSync(`${top}/${name}`).length);
  }
  assert.equal(results.get("emptied")!.content, undefined);
  assert.equal(results.get("grown")!.parts, true);
  assert.equal(results.get("big-small")!.parts, false);
  await pool.close();
});

test("a file that grows without end is read to the length it had", async () => {
  writeFileSync(`${top}/log`, noise(6 << 20, "log"));
  const correct = (): void => appendFileSync(`${top}/log`, noise(1 << 20, "tail"));
  const throttle = { unitBytes: 4 << 20, take: async () => undefined, correct };
  const { store, pool, results, submit } = start({ throttle });
  await submit("log");
  await pool.flush();
  const result = results.get("log")!;
  assert.deepEqual([result.kind, result.size, result.unstable], ["ok", 6 << 20, true]);
  assert.ok(store.contentOf(result).equals(readFileSync(`${top}/log`).subarray(0, 6 << 20)));
  await pool.close();
});

test("a file that cannot be read fails with words", async () => {
  const { pool, results, submit } = start();
  // Root may open everything, but nobody can read the first byte of a process's memory.
  const self = DirectoryHandle.open(undefined, `/proc/${process.pid}`);
  await submit("mem", undefined, self);
  if (process.geteuid?.() !== 0) {
    writeFileSync(`${top}/secret`, "x", { mode: 0 });
    await submit("secret");
  }
  await pool.flush();
  assert.deepEqual([results.get("mem")!.kind, results.get("mem")!.error], ["failed", "input/output error"]);
  if (results.has("secret")) assert.equal(results.get("secret")!.error, "permission denied");
  await pool.close();
  self.close();
});
