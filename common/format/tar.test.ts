import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Random } from "../../test/helpers/random.js";
import { asRoot, skipWithout } from "../test-needs.js";
import { type TarMember, tarHeader, tarPadding } from "./tar.js";

const PLAIN: TarMember = {
  name: "job1/a",
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtimeSec: 1_700_000_000,
  mtimeNsec: 0,
};

function archive(members: readonly { member: TarMember; data?: Buffer }[]): Buffer {
  const out: Buffer[] = [];
  for (const { member, data = Buffer.alloc(0) } of members) {
    out.push(tarHeader({ ...member, size: data.length }), data, Buffer.alloc(tarPadding(data.length)));
  }
  return Buffer.concat(out);
}

/** Extracts with GNU tar into a new directory, which `check` may look at. */
function extracted(input: Buffer, check: (directory: string) => void, ...options: string[]): void {
  const directory = mkdtempSync(join(tmpdir(), "basalt-tar-"));
  try {
    const args = ["-xpf", "-", "-C", directory, "--warning=no-timestamp", ...options];
    const result = spawnSync("tar", args, { input, env: { ...process.env, LC_ALL: "C" } });
    assert.equal(result.stderr.toString(), "");
    assert.equal(result.status, 0);
    check(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function listed(command: string, input: Buffer): string[] | undefined {
  const result = spawnSync(command, ["-tf", "-"], { input, env: { ...process.env, LC_ALL: "C" } });
  if (result.error !== undefined) return undefined;
  assert.equal(result.stderr.toString(), "", command);
  return result.stdout.toString("latin1").trimEnd().split("\n");
}

test("a member that fits takes one block", () => {
  assert.equal(tarHeader(PLAIN).length, 512);
  assert.equal(tarHeader({ ...PLAIN, name: `job1/${"d".repeat(95)}` }).length, 512);
  assert.equal(tarHeader({ ...PLAIN, name: `${"d".repeat(155)}/${"f".repeat(100)}` }).length, 512);
  assert.equal(tarHeader({ ...PLAIN, name: `${"d".repeat(156)}/${"f".repeat(100)}` }).length, 3 * 512);
  assert.equal(tarHeader({ ...PLAIN, mtimeNsec: 1 }).length, 3 * 512);
  for (const [size, padding] of [
    [0, 0],
    [1, 511],
    [511, 1],
    [512, 0],
    [513, 511],
  ] as const) {
    assert.equal(tarPadding(size), padding);
  }
});

test("a header behind one with very many attributes is what it would be without", () => {
  const xattrs = Array.from({ length: 9 }, (_, i) => ({ name: `user.${i}`, value: Buffer.alloc(65_536, i) }));
  const plain = tarHeader(PLAIN);
  const large = tarHeader({ ...PLAIN, xattrs });
  assert.ok(large.length > 9 * 65_536);
  assert.deepEqual(large.subarray(-512), plain);
  assert.deepEqual(tarHeader(PLAIN), plain);
  assert.deepEqual(tarHeader({ ...PLAIN, xattrs }), large);
});

test("names of every length come back from tar programs", (t) => {
  const random = new Random(3);
  const names: string[] = [];
  for (let length = 1; length < 330; length++) {
    let name = "";
    while (name.length < length) name += `${"nNxX"[random.below(4)]!.repeat(1 + random.below(90))}/`;
    names.push(`job1/${name.slice(0, length).replace(/\/$/, "_")}`);
  }
  names.push(`job1/${"deep/".repeat(3000)}file`);
  const members = names.map((name, i) => ({
    member: { ...PLAIN, name, type: i % 3 === 0 ? "directory" : "file" } as const,
  }));
  const expected = members.map(({ member }) =>
    member.type === "directory" ? `${member.name}/` : member.name,
  );
  const input = archive(members);
  assert.deepEqual(listed("tar", input), expected);
  const other = listed("bsdtar", input);
  if (other === undefined) t.diagnostic("bsdtar is not installed");
  else assert.deepEqual(other, expected);
});

test("names of any byte come back from GNU tar, short and long", () => {
  const odd = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1).filter((byte) => byte !== 0x2f));
  const names = [odd.subarray(0, 60), odd.subarray(60, 120), odd.subarray(120, 180), odd.subarray(180)];
  const top = { member: { ...PLAIN, name: "job1", type: "directory", mode: 0o755 } as const };
  const files = names.map((name) => ({ member: { ...PLAIN, name: `job1/${name.toString("latin1")}` } }));
  const deep = names.map((name) => `job1/${`${name.toString("latin1")}/`.repeat(3)}end`);
  extracted(archive([top, ...files]), (directory) => {
    const found = readdirSync(join(directory, "job1"), { encoding: "buffer" });
    assert.deepEqual(found.sort(Buffer.compare), [...names].sort(Buffer.compare));
  });
  extracted(archive(deep.map((name) => ({ member: { ...PLAIN, name } }))), (directory) => {
    for (const name of deep) {
      assert.ok(
        lstatSync(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name, "latin1")])).isFile(),
      );
    }
  });
});

test("times before 1970, after 2242 and with nanoseconds come back", () => {
  const times = [
    [0, 0],
    [-1, 0],
    [-2, 750_000_000],
    [-1, 1],
    [1_700_000_000, 123_456_789],
    [8_589_934_591, 0],
    [8_589_934_592, 5],
  ] as const;
  const members = times.map(([mtimeSec, mtimeNsec], i) => ({
    member: { ...PLAIN, name: `f${i}`, mtimeSec, mtimeNsec },
  }));
  extracted(archive(members), (directory) => {
    times.forEach(([sec, nsec], i) => {
      const { mtimeNs } = lstatSync(join(directory, `f${i}`), { bigint: true });
      assert.equal(mtimeNs, BigInt(sec) * 1_000_000_000n + BigInt(nsec), `${sec}.${nsec}`);
    });
  });
});

test("links, modes and data come back", () => {
  const data = new Random(1).bytes(70_000);
  const long = `t/${"x".repeat(150)}`;
  const members = [
    { member: { ...PLAIN, name: "dir", type: "directory", mode: 0o1750 } as const },
    { member: { ...PLAIN, name: "dir/file", mode: 0o6755 }, data },
    { member: { ...PLAIN, name: "dir/link", type: "symlink", target: "\xffnowhere" } as const },
    { member: { ...PLAIN, name: "dir/longlink", type: "symlink", target: long } as const },
    { member: { ...PLAIN, name: "dir/hard", type: "link", target: "dir/file" } as const },
    { member: { ...PLAIN, name: "dir/fifo", type: "fifo" } as const },
  ];
  extracted(archive(members), (directory) => {
    const at = (name: string) => join(directory, "dir", name);
    assert.deepEqual(readFileSync(at("file")), data);
    assert.equal(lstatSync(at("file")).mode & 0o7777, 0o6755);
    assert.equal(lstatSync(`${directory}/dir`).mode & 0o7777, 0o1750);
    assert.equal(readlinkSync(at("link"), { encoding: "buffer" }).toString("latin1"), "\xffnowhere");
    assert.equal(readlinkSync(at("longlink")), long);
    assert.equal(lstatSync(at("hard")).ino, lstatSync(at("file")).ino);
    assert.ok(lstatSync(at("fifo")).isFIFO());
  });
});

test("owners, devices and large numbers come back", (t) => {
  if (!asRoot(t)) return;
  const members = [
    { member: { ...PLAIN, name: "owned", uid: 0o7777777, gid: 4_000_000_000 } },
    { member: { ...PLAIN, name: "char", type: "char", major: 1, minor: 1_000_000 } as const },
  ];
  extracted(archive(members), (directory) => {
    const owned = lstatSync(join(directory, "owned"));
    assert.deepEqual([owned.uid, owned.gid], [0o7777777, 4_000_000_000]);
    const { rdev } = lstatSync(join(directory, "char"));
    assert.deepEqual([(rdev >> 8) & 0xfff, (rdev & 0xff) + 256 * Math.floor(rdev / 2 ** 20)], [1, 1_000_000]);
  });
});

test("attributes come back, also with = and % in their names and any byte in their values", (t) => {
  const xattrs = [
    { name: "user.a=b%c", value: Buffer.from("x=\n\0y\xff", "latin1") },
    { name: "user.plain", value: Buffer.from("1") },
  ];
  const input = archive([{ member: { ...PLAIN, name: "f", xattrs } }]);
  extracted(
    input,
    (directory) => {
      const found = spawnSync("python3", ["-c", READ_XATTRS, join(directory, "f")], { encoding: "utf8" });
      if (found.status !== 0) return skipWithout("python3 and a file system with user attributes", t);
      const expected = xattrs.map(({ name, value }) => `${name} ${value.toString("hex")}`).join("\n");
      assert.equal(found.stdout.trimEnd(), expected);
      return undefined;
    },
    "--xattrs",
    "--xattrs-include=*",
  );
});
const READ_XATTRS = `
import os, sys
for name in sorted(os.listxattr(sys.argv[1])):
    if name.startswith("user."): print(name, os.getxattr(sys.argv[1], name).hex())
`;
