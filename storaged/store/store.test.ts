/** One suite for every store, then what is particular to each. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { constants, existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { BackupError } from "../../common/errors.js";
import { FileStore, type WriteVector } from "./file-store.js";
import { MemoryStore, type StoreFault } from "./memory-store.js";
import type { Store, StoreFile } from "./store.js";

const bytes = (text: string) => Buffer.from(text);

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "basalt-store-"));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function text(file: StoreFile): Promise<string> {
  const into = Buffer.alloc(file.size + 10);
  return into.subarray(0, await file.readAt(into, 0)).toString();
}

const fails = (code: string, about: string) => (error: unknown) => {
  assert.ok(error instanceof BackupError, String(error));
  assert.equal(error.code, code);
  assert.ok(error.message.includes(about), error.message);
  return true;
};

const STORES: Record<string, (t: TestContext) => { store: Store; directory: string }> = {
  "file store": (t) => ({ store: new FileStore(), directory: directoryOf(t) }),
  "memory store": () => ({ store: new MemoryStore(), directory: "/volumes" }),
};

for (const [name, make] of Object.entries(STORES)) {
  test(`${name}: appended buffers are read back, also by another handle`, async (t) => {
    const { store, directory } = make(t);
    const path = join(directory, "v");
    const file = await store.create(path);
    await file.append([bytes("ab"), Buffer.alloc(0), bytes("cde")]);
    await file.append([]);
    await file.append([bytes("f")]);
    assert.equal(file.size, 6);
    assert.equal(await text(file), "abcdef");
    await file.sync();
    await store.syncDirectory(directory);
    const reader = await store.open(path, "read");
    assert.equal(reader.size, 6);
    const some = Buffer.alloc(3);
    assert.equal(await reader.readAt(some, 2), 3);
    assert.equal(some.toString(), "cde");
    assert.equal(await reader.readAt(some, 5), 1);
    assert.equal(await reader.readAt(some, 60), 0);
    await assert.rejects(reader.append([bytes("x")]));
    await reader.close();
    await file.close();
  });

  test(`${name}: truncated files go on where they were cut`, async (t) => {
    const { store, directory } = make(t);
    const file = await store.create(join(directory, "v"));
    await file.append([bytes("abcdef")]);
    await file.truncate(2);
    assert.equal(file.size, 2);
    await file.append([bytes("XY")]);
    assert.equal(await text(file), "abXY");
    await assert.rejects(file.truncate(5), RangeError);
    await file.close();
    const again = await store.open(join(directory, "v"), "append");
    await again.append([bytes("!")]);
    assert.equal(await text(again), "abXY!");
    await again.close();
  });

  test(`${name}: a closed file refuses everything but closing`, async (t) => {
    const { store, directory } = make(t);
    const file = await store.create(join(directory, "v"));
    await file.close();
    await file.close();
    for (const use of [
      () => file.append([bytes("x")]),
      () => file.sync(),
      () => file.readAt(Buffer.alloc(1), 0),
    ]) {
      await assert.rejects(use(), fails("STORE_IO", "closed"));
    }
  });

  test(`${name}: names are listed, renamed, removed and found missing`, async (t) => {
    const { store, directory } = make(t);
    for (const file of ["b", "a", "c"]) await (await store.create(join(directory, file))).close();
    assert.deepEqual(await store.list(directory), ["a", "b", "c"]);
    await store.rename(join(directory, "a"), join(directory, "b"));
    await store.unlink(join(directory, "c"));
    assert.deepEqual(await store.list(directory), ["b"]);
    assert.equal((await store.stat(join(directory, "b")))?.sizeBytes, 0);
    assert.equal(await store.stat(join(directory, "a")), undefined);
    const path = join(directory, "none");
    await assert.rejects(store.open(path, "read"), fails("STORE_NOT_FOUND", path));
    await assert.rejects(store.unlink(path), fails("STORE_NOT_FOUND", path));
    await assert.rejects(store.create(join(directory, "b")), fails("STORE_EXISTS", join(directory, "b")));
  });
}

test("file store: files are private", async (t) => {
  const directory = directoryOf(t);
  await (await new FileStore().create(join(directory, "v"))).close();
  assert.equal(statSync(join(directory, "v")).mode & 0o777, 0o600);
});

test("file store: links, fifos and directories are refused at once", async (t) => {
  const directory = directoryOf(t);
  const store = new FileStore();
  writeFileSync(join(directory, "real"), "x");
  symlinkSync("real", join(directory, "link"));
  await assert.rejects(store.open(join(directory, "link"), "append"), fails("STORE_DENIED", "symbolic link"));
  symlinkSync("away", join(directory, "dangling"));
  await assert.rejects(store.create(join(directory, "dangling")), fails("STORE_EXISTS", "dangling"));
  assert.equal(existsSync(join(directory, "away")), false);
  spawnSync("mkfifo", [join(directory, "fifo")]);
  await assert.rejects(store.open(join(directory, "fifo"), "read"), fails("STORE_IO", "not a regular file"));
  await assert.rejects(store.open(directory, "read"), fails("STORE_IO", "not a regular file"));
  assert.deepEqual(await store.list(directory), ["real"]);
  await assert.rejects(store.list(join(directory, "none")), fails("STORE_NOT_FOUND", "none"));
});

/** Writes at most `step` bytes a call, as a slow or interrupted system call may. */
const shortWrites =
  (step: number): WriteVector =>
  async (fd, buffers, position) => {
    const all = Buffer.concat(buffers.map((buffer) => Buffer.from(buffer))).subarray(0, step);
    // /proc gives a second handle on the same open file.
    const handle = await open(`/proc/self/fd/${fd}`, constants.O_RDWR);
    try {
      return (await handle.write(all, 0, all.length, position)).bytesWritten;
    } finally {
      await handle.close();
    }
  };

test("file store: short writes are completed, whatever their length", async (t) => {
  const directory = directoryOf(t);
  for (const step of [1, 2, 3, 5, 7, 100]) {
    const file = await new FileStore({ write: shortWrites(step) }).create(join(directory, `v${step}`));
    await file.append([bytes("abc"), bytes("d"), bytes("efgh")]);
    await file.append([bytes("ij"), bytes("k")]);
    assert.equal(await text(file), "abcdefghijk", `step ${step}`);
    await file.close();
  }
});

test("file store: failures of the system have codes; the size stays and can be restored", async (t) => {
  const directory = directoryOf(t);
  const cases = {
    ENOSPC: "STORE_FULL",
    EDQUOT: "STORE_FULL",
    EFBIG: "STORE_FULL",
    EIO: "STORE_IO",
    EACCES: "STORE_DENIED",
  };
  for (const [errno, code] of Object.entries(cases)) {
    let calls = 0;
    const write: WriteVector = async (fd, buffers, position) => {
      calls++;
      if (calls === 3) throw Object.assign(new Error(errno), { code: errno });
      return shortWrites(4)(fd, buffers, position);
    };
    const path = join(directory, errno);
    const file = await new FileStore({ write }).create(path);
    await file.append([bytes("good")]);
    await assert.rejects(file.append([bytes("bad and ugly")]), fails(code, path));
    assert.equal(file.size, 4);
    assert.equal(statSync(path).size, 8);
    await file.truncate(4);
    assert.equal(statSync(path).size, 4);
    await file.append([bytes("more")]);
    assert.equal(await text(file), "goodmore");
    await file.close();
  }
});

test("file store: a write of nothing is an error, not a loop", async (t) => {
  const file = await new FileStore({ write: async () => 0 }).create(join(directoryOf(t), "v"));
  await assert.rejects(file.append([bytes("x")]), fails("STORE_IO", "nothing was written"));
  await file.close();
});

test("memory store: a crash keeps what was synced", async () => {
  const store = new MemoryStore();
  const file = await store.create("/v/a");
  await file.append([bytes("one")]);
  assert.deepEqual(await store.crash().list("/v"), [], "a name that was not synced is gone");
  await store.syncDirectory("/v");
  assert.equal(store.crash().contents("/v/a").toString(), "");
  await file.sync();
  await file.append([bytes("two")]);
  assert.equal(store.crash().contents("/v/a").toString(), "one");
  assert.equal(
    store
      .crash({}, (_path, durable) => durable + 1)
      .contents("/v/a")
      .toString(),
    "onet",
    "a torn write",
  );
  await file.truncate(1);
  await file.append([bytes("X")]);
  assert.equal(
    store.crash().contents("/v/a").toString(),
    "one",
    "neither the cut nor what follows is durable",
  );
  await file.sync();
  assert.equal(store.crash().contents("/v/a").toString(), "oX");
  await store.unlink("/v/a");
  assert.deepEqual(await store.crash().list("/v"), ["a"]);
  await store.syncDirectory("/v/");
  assert.deepEqual(await store.crash().list("/v"), []);
});

test("memory store: every step can be made to fail", async () => {
  let fault: StoreFault | undefined;
  const seen: string[] = [];
  const store = new MemoryStore({
    before: ({ operation, bytes: count }) => {
      seen.push(`${operation} ${count}`);
      return fault;
    },
  });
  const file = await store.create("/v/a");
  fault = { errno: "ENOSPC", written: 2 };
  await assert.rejects(file.append([bytes("abc")]), fails("STORE_FULL", "/v/a"));
  assert.equal(store.contents("/v/a").toString(), "ab");
  assert.equal(file.size, 0);
  fault = { errno: "EIO" };
  await assert.rejects(file.sync(), fails("STORE_IO", "/v/a"));
  await assert.rejects(store.syncDirectory("/v"), fails("STORE_IO", "/v"));
  fault = undefined;
  await file.append([bytes("xyz")]);
  assert.equal(store.contents("/v/a").toString(), "xyz");
  assert.deepEqual(seen, ["create 0", "append 3", "sync 0", "syncDirectory 0", "append 3"]);
});
