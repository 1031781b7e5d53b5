import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { compareDebVersions } from "./deb-version.js";
import {
  diversionReader,
  infoPackageOf,
  listNameOf,
  ownedReader,
  type Package,
  StatusReader,
} from "./dpkg.js";
import { Lines } from "./lines.js";

const PATHS = `Package: bash
Essential: yes
Status: install ok installed
Priority: required
Architecture: amd64
Version: 5.2.15-2+b2
Conffiles:
 /etc/bash.bashrc 89269e1298235f1b12b4c16e4065ad0d
 /etc/skel/.bash rc 22bfb8c1dd94b5f3813a2b25da67463f obsolete
 not a line of it
Description: GNU Bourne Again SHell
 /etc/no-conffile 89269e1298235f1b12b4c16e4065ad0d

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install reinstreq half-installed
Architecture: all
Version: 1:2.0~rc1-1
`;

function readStatus(pieces: Iterable<Buffer>): { packages: Package[]; conffiles: string[]; odd: number } {
  const packages: Package[] = [];
  const conffiles: string[] = [];
  const reader = new StatusReader({
    package: (found) => void packages.push(found),
    conffile: (key) => void conffiles.push(key),
  });
  for (const piece of pieces) reader.push(piece);
  reader.end();
  return { packages, conffiles, odd: reader.odd };
}

function* cut(text: Buffer, bytes: number): Generator<Buffer> {
  for (let at = 0; at < text.length; at += bytes) yield text.subarray(at, at + bytes);
}

test("status: packages that are there and their configuration files, however the bytes are cut", () => {
  const expected = {
    packages: [
      { name: "bash", architecture: "amd64", version: "5.2.15-2+b2" },
      { name: "half", architecture: "all", version: "1:2.0~rc1-1" },
    ],
    conffiles: ["etc\0bash.bashrc", "etc\0skel\0.bash rc"],
    odd: 0,
  };
  for (const bytes of [1, 2, 7, 100, 10_000])
    assert.deepEqual(readStatus(cut(Buffer.from(PATHS), bytes)), expected);
});

test("status: nothing that a guest writes there is believed", () => {
  const odd = [
    "Package: ../../etc\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n",
    "Package: a\nStatus: install ok installed\nVersion: 1 2\nArchitecture: amd64\n\n",
    "Package: a\nStatus: install ok installed\nArchitecture: amd64\n\n",
    `Package: ${"a".repeat(5000)}\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n`,
    "Version: 1\n\n",
  ];
  assert.deepEqual(readStatus([Buffer.from(odd.join(""))]), { packages: [], conffiles: [], odd: odd.length });
  const after = "\n\nPackage: ok\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n";
  const binary = [
    randomBytes(300_000),
    Buffer.alloc(40_000_000, "x"),
    Buffer.alloc(5_000_000),
    Buffer.from(after),
  ];
  assert.deepEqual(
    readStatus(binary).packages.map(({ name }) => name),
    ["ok"],
  );
});

test("an endless line takes no memory, and the lines behind it are read", () => {
  const lines: string[] = [];
  const reader = new Lines((line) => void lines.push(line), 10);
  const before = process.memoryUsage().arrayBuffers;
  const piece = Buffer.alloc(1 << 20, "y");
  for (let i = 0; i < 500; i++) reader.push(piece);
  assert.ok(process.memoryUsage().arrayBuffers - before < 32 << 20);
  reader.push(Buffer.from("\n0123456789\n01234567890\n\nlast"));
  reader.end();
  assert.deepEqual(lines, ["0123456789", "", "last"]);
  assert.equal(reader.tooLong, 2);
});

test("lists of files: keys of absolute paths, and nothing else", () => {
  const keys: string[] = [];
  const take = (key: string): void => void keys.push(key);
  const list = ownedReader("list", take);
  list.push(
    Buffer.from(
      "/.\n/usr\n/usr/bin/a b\n/caf\xe9\nrelative\n/a/../b\n//c\n/d/\n\n/usr/./e\n/f\0g\n/..h/i",
      "latin1",
    ),
  );
  list.end();
  assert.deepEqual(keys.splice(0), ["", "usr", "usr\0bin\0a b", "caf\xe9", "..h\0i"]);
  const sums = ownedReader("md5sums", take);
  sums.push(
    Buffer.from(`${"0".repeat(32)}  usr/bin/x\n${"g".repeat(32)}  usr/bin/y\n${"1".repeat(32)}  ../z\n`),
  );
  sums.end();
  assert.deepEqual(keys.splice(0), ["usr\0bin\0x"]);
  const diversions = diversionReader(take);
  diversions.push(Buffer.from("/bin/sh\n/bin/sh.distrib\ndash\n/a\n/b\n:\n"));
  diversions.end();
  assert.deepEqual(keys, ["bin\0sh.distrib", "b"]);
});

test("names of lists", () => {
  assert.deepEqual(listNameOf("libc6:amd64.list"), { name: "libc6", architecture: "amd64", kind: "list" });
  assert.deepEqual(listNameOf("g++.md5sums"), { name: "g++", architecture: "", kind: "md5sums" });
  for (const other of ["bash.postinst", ".list", "a:b:c.list", "format", "Upper.list", "x\n.list"])
    assert.equal(listNameOf(other), undefined, other);
});

test("files about packages", () => {
  assert.equal(infoPackageOf("libc6:amd64.postinst"), "libc6");
  assert.equal(infoPackageOf("python3.11-minimal.list"), "python3.11-minimal");
  for (const other of ["format", ".x", "Upper.list", "a\0b.list", "a b.list", "bash.LIST"])
    assert.equal(infoPackageOf(other), undefined, other);
});

test("versions are ordered as dpkg orders them", () => {
  // Each is older than the next one.
  const rising = [
    ...[
      "0~~",
      "0~~a",
      "0~",
      "0",
      "0a",
      "0+",
      "0.1",
      "1.0~rc1-1",
      "1.0-1~bpo1",
      "1.0-1",
      "1.0-1+b1",
      "1.0-1.1",
    ],
    ...[
      "1.0-2",
      "1.0-10",
      "1.0.1-1",
      "1.2",
      "1.10",
      "2",
      "10",
      "99999999999999999998",
      "99999999999999999999",
    ],
    ...["1:0.1", "2:0"],
  ];
  for (const [i, a] of rising.entries())
    for (const [j, b] of rising.entries())
      assert.equal(Math.sign(compareDebVersions(a, b)), Math.sign(i - j), `${a} and ${b}`);
  for (const [a, b] of [
    ["1.0", "1.0-0"],
    ["0:1", "1"],
    ["1.01", "1.1"],
  ] as const)
    assert.equal(compareDebVersions(a, b), 0, `${a} and ${b}`);
  const long = "1".repeat(100_000);
  assert.equal(compareDebVersions(`${long}a`, `${long}a`), 0);
});
