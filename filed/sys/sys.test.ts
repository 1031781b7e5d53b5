import assert from "node:assert/strict";
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { Worker } from "node:worker_threads";
import { EntryType } from "../../common/format/row.js";
import { SysError } from "../../common/sys/error.js";
import * as files from "../../common/sys/files.js";
import { getXattr, listXattrs, removeXattr, setXattr } from "../../common/sys/xattr.js";
import { asRoot } from "../../common/test-needs.js";
import { parseIoNice, setIoNice, setNice } from "./priority.js";
import { DirectoryHandle, newStat, O_DIRECTORY, statAt, statIfThere } from "./stat.js";
import { removeTree, testDirectory } from "./test-trees.js";

let top = "";
let dir: DirectoryHandle;

before(() => {
  top = testDirectory("sys");
  dir = DirectoryHandle.open(undefined, top);
});
after(() => {
  dir.close();
  removeTree(top);
});

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof SysError);
    return error.code;
  }
}

test("statx agrees with lstat on every field", () => {
  writeFileSync(`${top}/file`, "hello", { mode: 0o640 });
  chmodSync(`${top}/file`, 0o4751);
  utimesSync(`${top}/file`, 1, 1_234_567_890.25);
  const st = newStat();
  dir.stat("file", st);
  const node = lstatSync(`${top}/file`, { bigint: true });
  assert.equal(st.type, EntryType.file);
  assert.equal(st.mode, 0o4751);
  assert.equal(st.uid, Number(node.uid));
  assert.equal(st.gid, Number(node.gid));
  assert.equal(st.size, 5);
  assert.equal(st.blocks, Number(node.blocks));
  assert.equal(st.mtimeSec, 1_234_567_890);
  assert.equal(st.mtimeNsec, 250_000_000);
  assert.equal(BigInt(st.ctimeSec) * 1_000_000_000n + BigInt(st.ctimeNsec), node.ctimeNs);
  assert.equal(st.inode, Number(node.ino));
  assert.equal(st.links, 1);
});

test("times before 1970 and with nanoseconds survive setting and reading", () => {
  writeFileSync(`${top}/old`, "");
  const st = newStat();
  for (const [sec, nsec] of [
    [-1, 500_000_000],
    [-86_400 * 365, 1],
    [4_000_000_000, 999_999_999],
  ] as const) {
    files.timeAt(dir.fd, "old", sec, nsec);
    dir.stat("old", st);
    assert.deepEqual([st.mtimeSec, st.mtimeNsec], [sec, nsec]);
  }
});

test("names of any bytes are listed, looked at and opened", () => {
  const odd = "caf\xe9 \xff\x01\n\x80'";
  writeFileSync(Buffer.from(`${top}/${odd}`, "latin1"), "x");
  assert.ok(dir.names().includes(odd));
  const st = newStat();
  dir.stat(odd, st);
  assert.equal(st.size, 1);
  files.closeFd(files.openAt(dir.fd, odd, 0));
  files.unlinkAt(dir.fd, odd);
  assert.equal(statIfThere(dir.fd, odd, st), false);
});

test("every type is told", async () => {
  files.makeNodeAt(dir.fd, "fifo", "fifo", 0o600);
  files.makeSymlinkAt("t\xe4rget/nowhere", dir.fd, "link");
  mkdirSync(`${top}/sub`);
  const server = createServer().listen(`${top}/socket`);
  await new Promise((resolve) => server.once("listening", resolve));
  const st = newStat();
  const typeOf = (name: string): unknown => {
    dir.stat(name, st);
    return st.type;
  };
  assert.equal(typeOf("fifo"), EntryType.fifo);
  assert.equal(typeOf("link"), EntryType.symlink);
  assert.equal(dir.readlink("link"), "t\xe4rget/nowhere");
  assert.equal(typeOf("sub"), EntryType.directory);
  assert.equal(typeOf("socket"), "socket");
  server.close();
});

test("device numbers beyond eight bits", (t) => {
  if (!asRoot(t)) return;
  files.makeNodeAt(dir.fd, "device", "block", 0o600, 259, 70_000);
  const st = newStat();
  dir.stat("device", st);
  assert.deepEqual([st.type, st.major, st.minor], [EntryType.blockDevice, 259, 70_000]);
  files.unlinkAt(dir.fd, "device");
});

test("errors carry code, call and words", () => {
  const st = newStat();
  assert.equal(
    codeOf(() => dir.stat("missing", st)),
    "ENOENT",
  );
  assert.equal(
    codeOf(() => statAt(-1, "x", st)),
    "EBADF",
  );
  assert.equal(
    codeOf(() => files.makeSymlinkAt("a\0b", dir.fd, "nul")),
    "EINVAL",
  );
  assert.equal(
    codeOf(() => dir.stat("x".repeat(70_000), st)),
    "ENAMETOOLONG",
  );
  assert.equal(
    codeOf(() => dir.stat("x".repeat(300), st)),
    "ENAMETOOLONG",
  );
  assert.equal(
    codeOf(() => DirectoryHandle.open(undefined, "relative")),
    "EINVAL",
  );
  assert.equal(new SysError("ENOENT", "openat", 2).message, "no such file or directory");
  assert.equal(SysError.of(117, "read").code, "EUCLEAN");
});

test("a symlink is never opened as a directory", () => {
  symlinkSync("/", `${top}/escape`);
  assert.equal(
    codeOf(() => DirectoryHandle.open(dir, "escape")),
    "ENOTDIR",
  );
  assert.equal(
    codeOf(() => files.openAt(dir.fd, "escape", O_DIRECTORY)),
    "ENOTDIR",
  );
});

test("paths beyond 4,096 bytes work by walking descriptors", () => {
  const name = "d".repeat(200);
  let current = DirectoryHandle.open(undefined, top);
  for (let depth = 0; depth < 30; depth++) {
    files.makeDirectoryAt(current.fd, name, 0o755);
    const next = DirectoryHandle.open(current, name);
    current.close();
    current = next;
  }
  files.closeFd(files.openAt(current.fd, "leaf", 0o101, 0o600));
  assert.deepEqual(current.names(), ["leaf"]);
  assert.deepEqual(current.xattrs("leaf"), []);
  current.close();
});

test("a retained handle stays open until its last user closes it", () => {
  const handle = DirectoryHandle.open(undefined, top).retain();
  handle.close();
  assert.ok(handle.names().length > 0);
  handle.close();
  assert.throws(() => handle.names());
});

test("links, renames, owners and modes", () => {
  writeFileSync(`${top}/a`, "a");
  files.linkAt(dir.fd, "a", dir.fd, "b");
  const st = newStat();
  dir.stat("b", st);
  assert.equal(st.links, 2);
  files.renameAt(dir.fd, "b", dir.fd, "c");
  files.modeAt(dir.fd, "c", 0o600);
  files.ownAt(dir.fd, "c", process.getuid!(), process.getgid!());
  assert.equal(statSync(`${top}/a`).mode & 0o777, 0o600);
  files.unlinkAt(dir.fd, "c");
  mkdirSync(`${top}/empty`);
  files.removeDirectoryAt(dir.fd, "empty");
  assert.ok(!readdirSync(top).includes("empty"));
});

test("extended attributes come back byte for byte, also of directories and long values", () => {
  const path = `${top}/attributes`;
  writeFileSync(path, "");
  const value = Buffer.from([0, 1, 255, 0]);
  try {
    setXattr(path, "user.basalt", value);
  } catch (error) {
    if ((error as SysError).code === "EOPNOTSUPP") return;
    throw error;
  }
  setXattr(path, "user.empty", Buffer.alloc(0));
  const found = dir.xattrs("attributes").filter(({ name }) => name.startsWith("user."));
  assert.deepEqual(found.map(({ name }) => name).sort(), ["user.basalt", "user.empty"]);
  assert.deepEqual(dir.xattrs("attributes"), listXattrs(path));
  symlinkSync("attributes", `${top}/to-attributes`);
  assert.ok(!dir.xattrs("to-attributes").some(({ name }) => name.startsWith("user.")));
  assert.equal(
    codeOf(() => dir.xattrs("missing")),
    "ENOENT",
  );
  assert.deepEqual(getXattr(path, "user.basalt"), value);
  removeXattr(path, "user.basalt");
  removeXattr(path, "user.basalt");
  assert.equal(getXattr(path, "user.basalt"), undefined);
  const fd = openSync(path, "r");
  assert.equal(listXattrs(fd).length, listXattrs(path).length);
  closeSync(fd);
  assert.equal(
    codeOf(() => setXattr(path, "user.big", Buffer.alloc(70_000))),
    "E2BIG",
  );
});

test("holes are found and made", () => {
  const fd = openSync(`${top}/sparse`, "w+");
  ftruncateSync(fd, 16 << 20);
  writeSync(fd, Buffer.alloc(65_536, 1), 0, 65_536, 8 << 20);
  const data = files.nextData(fd, 0);
  const hole = files.nextHole(fd, 8 << 20);
  assert.ok(data === 8 << 20 || data === 0, "file systems without holes say 0");
  assert.ok(hole === (8 << 20) + 65_536 || hole === 16 << 20);
  if (data !== 0) {
    assert.equal(files.nextData(fd, 9 << 20), -1);
    files.punchHole(fd, 8 << 20, 65_536);
    assert.equal(files.nextData(fd, 0), -1);
    files.allocate(fd, 0, 1 << 20);
    assert.equal(
      readFileSync(`${top}/sparse`).every((byte) => byte === 0),
      true,
    );
  }
  closeSync(fd);
});

test("IoNice in words and numbers", () => {
  assert.deepEqual(parseIoNice("idle"), { ioClass: 3, level: 0 });
  assert.deepEqual(parseIoNice(" Best-Effort:7 "), { ioClass: 2, level: 7 });
  assert.deepEqual(parseIoNice("2"), { ioClass: 2, level: 4 });
  assert.equal(parseIoNice(""), undefined);
  for (const bad of ["fast", "idle:9", "4", "best-effort:"]) {
    assert.throws(() => parseIoNice(bad), { code: "VALUE_INVALID" });
  }
});

test("priorities belong to the thread that sets them", async () => {
  const here = new URL("./priority.js", import.meta.url).href;
  const code = `import(${JSON.stringify(here)}).then((p) => { p.setNice(7); p.setIoNice({ioClass: 2, level: 6});
    require("node:worker_threads").parentPort.postMessage(
      require("node:fs").readFileSync("/proc/thread-self/stat", "latin1").split(") ")[1].split(" ")[16]); })`;
  const worker = new Worker(code, { eval: true });
  assert.equal(await new Promise((resolve) => worker.once("message", resolve)), "7");
  await worker.terminate();
  const own = readFileSync("/proc/thread-self/stat", "latin1").split(") ")[1]!.split(" ")[16];
  assert.notEqual(own, "7");
  assert.equal(typeof setNice, "function");
  assert.equal(typeof setIoNice, "function");
});

test("descriptors are closed", () => {
  const count = (): number => readdirSync("/proc/self/fd").length;
  const first = count();
  for (let i = 0; i < 50; i++) DirectoryHandle.open(undefined, top).close();
  assert.equal(count(), first);
  assert.equal(readlinkSync(`/proc/self/fd/${dir.fd}`), top);
});

test("times beyond what a list can hold are the last that it can hold", (t) => {
  // tmpfs takes any number, ext4 does not.
  const base = mkdtempSync("/dev/shm/basalt-sys-");
  const there = DirectoryHandle.open(undefined, base);
  t.after(() => removeTree(base));
  const st = newStat();
  for (const sign of [1, -1]) {
    files.timeAt(there.fd, ".", sign * 5_000_000_000_000_000, 0);
    there.statSelf(st);
    assert.equal(st.mtimeSec, sign * (2 ** 52 - 1));
  }
  there.close();
});
