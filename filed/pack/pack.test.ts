import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { after, before, test } from "node:test";
import {
  MAX_WHOLE_BYTES,
  PART_BYTES,
  PartsIdentity,
  sha256,
  ZERO_DIGEST,
} from "../../common/format/content.js";
import { EntryType, emptyRow, encodeXattrs } from "../../common/format/row.js";
import { decompressInto } from "../../common/format/zstd.js";
import { BackupKind, decodeFrame, decodeParts } from "../../proto/data/backup.js";
import { DirectoryHandle, newStat } from "../sys/stat.js";
import { removeTree, testDirectory } from "../sys/test-trees.js";
import { looksIncompressible } from "./compression.js";
import { PackPool, type PackPoolOptions, type PackResult } from "./pool.js";

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

/** Bytes that look random but are the same in every run. */
function noise(size: number, seed: string): Buffer {
  const out = Buffer.alloc(size);
  for (let at = 0, i = 0; at < size; at += 32, i++) {
    createHash("sha256").update(`${seed} ${i}`).digest().copy(out, at);
  }
  return out;
}

/** A storage daemon in memory: keeps what frames and parts lists carry, checks every digest. */
class FakeStore {
  readonly chunks = new Map<string, Buffer>();
  readonly contents = new Map<string, { parts: Buffer; size: number }>();
  readonly members: string[] = [];
  readonly open = new Map<number, Buffer[]>();
  frames = 0;
  claims = 0;
  forget = false;

  send = async (message: Buffer): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (message[0] === BackupKind.frame) this.#frame(message);
    else if (message[0] === BackupKind.parts) this.#parts(message);
    else assert.fail(`unexpected message ${message[0]}`);
  };

  claim = async (digests: Buffer): Promise<Buffer> => {
    this.claims++;
    await new Promise((resolve) => setImmediate(resolve));
    const answer = Buffer.alloc(digests.length / 32);
    for (let i = 0; i < answer.length; i++) {
      const hex = digests.toString("hex", i * 32, i * 32 + 32);
      answer[i] = !this.forget && this.chunks.has(hex) ? 1 : 0;
    }
    return answer;
  };

  #frame(message: Buffer): void {
    this.frames++;
    const { rawBytes, entries, data } = decodeFrame(message);
    const raw = Buffer.alloc(rawBytes);
    decompressInto(raw, data);
    for (const { digest, offset, length } of entries) {
      const bytes = raw.subarray(offset, offset + length);
      assert.ok(sha256(bytes).equals(digest));
      this.chunks.set(digest.toString("hex"), Buffer.from(bytes));
      const name = raw.toString("latin1", offset - 512, offset - 412);
      this.members.push(name.slice(0, name.indexOf("\0")));
    }
  }

  #parts(message: Buffer): void {
    const { sequence, parts, last } = decodeParts(message);
    const all = this.open.get(sequence) ?? [];
    this.open.set(sequence, all);
    all.push(parts);
    for (let at = 0; at < parts.length; at += PART_BYTES) {
      const digest = parts.subarray(at + 4, at + PART_BYTES);
      if (!digest.equals(ZERO_DIGEST))
        assert.ok(this.chunks.has(digest.toString("hex")), "part before its chunk");
    }
    if (last === undefined) return;
    const identity = new PartsIdentity();
    for (const segment of all) identity.add(segment);
    assert.ok(identity.digest().equals(last.identity));
    this.contents.set(last.identity.toString("hex"), { parts: Buffer.concat(all), size: last.size });
    this.open.delete(sequence);
  }

  /** Content of a result, put together again. */
  contentOf(result: PackResult): Buffer {
    if (result.content === undefined) return Buffer.alloc(0);
    const hex = result.content.toString("hex");
    if (!result.parts) return this.chunks.get(hex)!;
    const { parts, size } = this.contents.get(hex)!;
    const out: Buffer[] = [];
    for (let at = 0; at < parts.length; at += PART_BYTES) {
      const length = parts.readUInt32LE(at);
      const digest = parts.subarray(at + 4, at + PART_BYTES);
      const bytes = digest.equals(ZERO_DIGEST)
        ? Buffer.alloc(length)
        : this.chunks.get(digest.toString("hex"))!;
      assert.equal(bytes.length, length);
      out.push(bytes);
    }
    const whole = Buffer.concat(out);
    assert.equal(whole.length, size);
    return whole;
  }
}

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
  let sent = 0;
  const store = new FakeStore();
  const claim = async (digests: Buffer): Promise<Buffer> => {
    if (sent++ < 3) appendFileSync(`${top}/log`, noise(1 << 20, `tail${sent}`));
    return store.claim(digests);
  };
  const { pool, results, submit } = start({ claim }, store);
  await submit("log");
  await pool.flush();
  const result = results.get("log")!;
  assert.deepEqual([result.kind, result.size, result.unstable], ["ok", 6 << 20, true]);
  assert.ok(store.contentOf(result).equals(readFileSync(`${top}/log`).subarray(0, 6 << 20)));
  await pool.close();
});

test("an unreadable file fails with words", {
  skip: process.geteuid?.() === 0 && "root reads everything",
}, async () => {
  writeFileSync(`${top}/secret`, "x", { mode: 0 });
  const { pool, results, submit } = start();
  await submit("secret");
  await pool.flush();
  assert.equal(results.get("secret")!.error, "permission denied");
  await pool.close();
});

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
  const text = Buffer.from("all work and no play\n".repeat(5000));
  const lengths: number[] = [];
  for (const compression of ["none", "fast", "auto", 9] as const) {
    writeFileSync(`${top}/level`, text);
    const store = new FakeStore();
    const send = async (message: Buffer): Promise<void> => {
      lengths.push(message.length);
      await store.send(message);
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
  assert.ok(lengths[0]! > text.length && lengths[1]! < text.length / 10 && lengths[3]! <= lengths[2]!);
});

test("incompressible data is recognized, text is not taken for it", () => {
  assert.equal(looksIncompressible(noise(1 << 20, "random")), true);
  assert.equal(looksIncompressible(Buffer.from("lorem ipsum dolor ".repeat(60_000))), false);
  assert.equal(looksIncompressible(Buffer.from(noise(700_000, "b").toString("base64"))), false);
});

test("a read limit is asked for every byte, one unit at a time", async () => {
  let asked = 0;
  let waiting = 0;
  const throttle = async (bytes: number): Promise<void> => {
    assert.equal(waiting++, 0);
    await new Promise((resolve) => setImmediate(resolve));
    waiting--;
    asked += bytes;
  };
  writeFileSync(`${top}/limited`, noise(10 << 20, "limited"));
  writeFileSync(`${top}/limited2`, noise(1000, "limited2"));
  const { pool, submit } = start({ throttle });
  await submit("limited");
  await submit("limited2");
  await pool.flush();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(asked, (10 << 20) + 1000);
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
  const descriptors = readdirSync("/proc/self/fd").length;
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
  assert.equal(readdirSync("/proc/self/fd").length, descriptors);
});

test("a pool without tasks starts no thread", async () => {
  const { pool } = start();
  await pool.flush();
  await pool.close();
});
