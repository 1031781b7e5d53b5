import assert from "node:assert/strict";
import { test } from "node:test";
import { BackupError } from "../../common/errors.js";
import { contentDigest, MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import type { FrameEntry } from "../../common/format/frame.js";
import { type TarMember, tarHeader, tarPadding } from "../../common/format/tar.js";
import { GarbledInput } from "../../common/format/varint.js";
import { decompressInto } from "../../common/format/zstd.js";
import { damaged, Random } from "../../test/helpers/random.js";
import { type BuiltFrame, fileMember, frameOf, partMember, rawFrame } from "./fixture.js";
import { checkClosingFrame, checkDataFrame } from "./frame-check.js";
import { FrameVerifier } from "./verify.js";

const DATA = Buffer.from("some content");

function unpacked(frame: BuiltFrame): Buffer {
  const raw = Buffer.alloc(frame.rawBytes);
  decompressInto(raw, frame.data);
  return raw;
}

/** Checks one member with DATA, after a change to its raw bytes whose header checksum is made right again. */
function checkChanged(change: (raw: Buffer, header: number) => void, member = fileMember("job12/a")): void {
  const frame = frameOf([{ member, data: DATA }]);
  const raw = unpacked(frame);
  const header = frame.entries[0]!.offset - 512;
  change(raw, header);
  for (let at = 0; at <= header; at += 512) if (raw[at + 257] === 0x75) resum(raw.subarray(at, at + 512));
  checkDataFrame(raw, frame.entries, 12);
}

function resum(header: Buffer): void {
  header.write("        ", 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
}

test("frames of whole files and parts are accepted", async () => {
  const verifier = new FrameVerifier();
  const long = { ...fileMember(`job12/${"deep/".repeat(60)}\xff`), mtimeSec: -5, uid: 4_000_000_000 };
  const xattrs = [{ name: "user.a=b", value: Buffer.from("\n=\0", "latin1") }];
  const frames = [
    frameOf([{ member: fileMember("job12/etc/passwd"), data: DATA }]),
    frameOf([
      { member: long, data: DATA },
      partMember(12, DATA),
      { member: { ...fileMember("job12/x"), xattrs }, data: DATA },
    ]),
    frameOf([partMember(12, new Random(1).bytes(512 * 1024)), partMember(12, Buffer.alloc(512))]),
  ];
  const calls = Array.from({ length: 40 }, (_, i) => verifier.verify(frames[i % 3]!, 12));
  await Promise.all(calls);
  await verifier.close();
});

test("a refused frame harms no other, and says which member is wrong", async () => {
  const verifier = new FrameVerifier({ workers: 1 });
  const good = frameOf([{ member: fileMember("job12/a"), data: DATA }]);
  const wrong = { ...good, entries: [{ ...good.entries[0]!, digest: contentDigest(Buffer.from("other")) }] };
  const results = await Promise.allSettled(
    [good, wrong, good, wrong, good].map((frame) => verifier.verify(frame, 12)),
  );
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled", "rejected", "fulfilled"],
  );
  const { reason } = results[1] as PromiseRejectedResult;
  assert.ok(reason instanceof BackupError);
  assert.equal(reason.code, "FRAME_REFUSED");
  assert.equal(reason.message, "Frame refused: job12/a: content does not have its digest");
  await verifier.close();
});

test("frames that are not what they claim are refused", async () => {
  const verifier = new FrameVerifier({ workers: 1 });
  const good = frameOf([{ member: fileMember("job12/a"), data: DATA }]);
  const two = frameOf([{ member: fileMember("job12/a"), data: DATA }, partMember(12, Buffer.from("second"))]);
  const cases: [RegExp, BuiltFrame][] = [
    [/holds 2048 bytes, not 1536/, { ...good, rawBytes: 1536 }],
    [/raw bytes/, { ...good, rawBytes: 1000 }],
    [/raw bytes/, { ...good, rawBytes: 0 }],
    [/raw bytes/, { ...good, rawBytes: MAX_FRAME_RAW_BYTES + 512 }],
    [/behind the zstd frame/, { ...good, data: Buffer.concat([good.data, good.data]) }],
    [/no zstd frame/, { ...good, data: Buffer.alloc(100) }],
    [/no zstd frame|too large/, { ...good, data: Buffer.alloc(0) }],
    [/too large/, { ...good, data: Buffer.alloc(9_000_000) }],
    [/tar members without a chunk/, { ...two, entries: two.entries.slice(0, 1) }],
    [/tar members without a chunk/, { ...two, entries: [] }],
    [/chunks that overlap/, { ...good, entries: [...good.entries, ...good.entries] }],
    [/chunks that overlap/, { ...two, entries: [...two.entries].reverse() }],
    [
      /differ in place/,
      {
        ...good,
        entries: [{ ...good.entries[0]!, length: 11, digest: contentDigest(DATA.subarray(0, 11)) }],
      },
    ],
  ];
  for (const [reason, frame] of cases) await assert.rejects(verifier.verify(frame, 12), reason);
  await assert.rejects(verifier.verify(good, 13), /member outside job13/);
  await assert.rejects(verifier.verify(good, 1), /member outside job1\//);
  await verifier.close();
  await assert.rejects(verifier.verify(good, 12), /closed/);
});

test("closing rejects what is under way", async () => {
  const verifier = new FrameVerifier({ workers: 1 });
  const frame = frameOf([{ member: fileMember("job12/a"), data: DATA }]);
  const calls = Array.from({ length: 8 }, () =>
    verifier.verify(frame, 12).catch((error: BackupError) => error.code),
  );
  await verifier.close();
  assert.ok((await Promise.all(calls)).every((code) => code === "VERIFIER_FAILED"));
});

test("names that leave the job's directory are refused", () => {
  const names = [
    "../etc/passwd",
    "/etc/passwd",
    "job12",
    "job12/../x",
    "job12/a/../../x",
    "job13/a",
    "job12/.basalt/manifest/000001",
    "job12/.basalt/x",
    `job12/.basalt/parts/${"0".repeat(64)}`,
    "job12/./a",
    "job12//a",
    "job12/a/",
    "x",
    `job12/${"d/".repeat(80)}../x`,
    `job12/${"d/".repeat(200)}/x`,
  ];
  for (const name of names) {
    const frame = frameOf([{ member: fileMember(name), data: DATA }]);
    assert.throws(() => checkDataFrame(unpacked(frame), frame.entries, 12), GarbledInput, name);
  }
});

test("members of other types, or with content where none belongs, are refused", () => {
  for (const type of ["directory", "symlink", "link", "char", "fifo"] as const) {
    const member: TarMember = {
      ...fileMember("job12/a"),
      type,
      ...(type.endsWith("link") ? { target: "/etc" } : {}),
    };
    const raw = tarHeader(member);
    assert.throws(
      () => checkDataFrame(raw, [{ digest: contentDigest(Buffer.alloc(0)), offset: 512, length: 0 }], 12),
      GarbledInput,
    );
    const after = Buffer.concat([unpacked(frameOf([{ member: fileMember("job12/b"), data: DATA }])), raw]);
    const entry: FrameEntry = { digest: contentDigest(DATA), offset: 1536 - 512, length: DATA.length };
    assert.throws(() => checkDataFrame(after, [entry], 12), GarbledInput, type);
  }
});

test("every unusual form of a header is refused, so that no tar program sees another name or length", () => {
  checkChanged(() => undefined);
  const cases: Record<string, (raw: Buffer, header: number) => void> = {
    "old tar": (raw, at) => raw.fill(0, at + 257, at + 265),
    "GNU magic": (raw, at) => raw.write("ustar  \0", at + 257, "latin1"),
    "base-256 size": (raw, at) => raw.writeUInt8(0x80, at + 124),
    "size with blanks": (raw, at) => raw.write(" ", at + 124),
    "size without end": (raw, at) => raw.write("0", at + 135),
    "other size": (raw, at) => raw.write("1", at + 134),
    "GNU sparse": (raw, at) => raw.write("S", at + 156),
    contiguous: (raw, at) => raw.write("7", at + 156),
    "old regular": (raw, at) => raw.writeUInt8(0, at + 156),
    "GNU long name": (raw, at) => raw.write("L", at + 156),
    "global header": (raw, at) => raw.write("g", at + 156),
    "hidden name": (raw, at) => raw.write("../x", at + 20),
    "link name": (raw, at) => raw.write("/etc", at + 157),
    prefix: (raw, at) => raw.write("..", at + 345),
    "user name": (raw, at) => raw.write("root", at + 265),
    tail: (raw, at) => raw.writeUInt8(1, at + 511),
    padding: (raw, at) => raw.writeUInt8(1, at + 1023),
    "zero block": (raw, at) => raw.fill(0, at, at + 512),
  };
  for (const [what, change] of Object.entries(cases))
    assert.throws(() => checkChanged(change), GarbledInput, what);
});

function withPax(body: string, plain: Partial<TarMember> = {}): () => void {
  const main = tarHeader({ ...fileMember("job12/a"), mtimeNsec: 0, size: DATA.length, ...plain });
  const pax = tarHeader({ ...fileMember("././@PaxHeader"), mtimeNsec: 0, size: body.length });
  pax.write("x", 156);
  resum(pax);
  const head = Buffer.concat([pax, Buffer.from(body, "latin1"), Buffer.alloc(tarPadding(body.length)), main]);
  const raw = Buffer.concat([head, DATA, Buffer.alloc(tarPadding(DATA.length))]);
  return () =>
    checkDataFrame(raw, [{ digest: contentDigest(DATA), offset: head.length, length: DATA.length }], 12);
}

test("pax headers say only what they may", () => {
  withPax("11 mtime=1\n11 uid=123\n")();
  const bad = [
    "19 path=../../evil\n",
    "16 path=job12/b\n",
    "18 path=job12/a\0b\n",
    "16 path=job12/a\n16 path=job12/a\n",
    "14 linkpath=/\n",
    "11 size=512\n",
    "22 GNU.sparse.major=1\n",
    "20 SCHILY.xattr.=x\n0",
    "9 mtime=\n",
    "11 mtime=x\n",
    "12 mtime=1\n",
    "999 mtime=1\n",
    "-1 mtime=1\n",
    "0 mtime=1\n",
    "5 a=\n",
    "mtime=1\n",
    "11 mtime=1",
    " ",
  ];
  for (const body of bad) assert.throws(withPax(body), GarbledInput, JSON.stringify(body));
  const pax = tarHeader({ ...fileMember("job12/a"), name: "x".repeat(300), size: DATA.length });
  assert.throws(
    () => checkDataFrame(pax.subarray(0, 1024), [{ digest: contentDigest(DATA), offset: 0, length: 1 }], 12),
    GarbledInput,
  );
});

test("closing frames hold no content but the manifest", () => {
  const directory = tarHeader({ ...fileMember("job12/d"), type: "directory" });
  const link = (target: string) => tarHeader({ ...fileMember("job12/h"), type: "link", target });
  checkClosingFrame(Buffer.concat([directory, link("job12/d/a"), tarHeader(fileMember("job12/empty"))]), 12);
  const bad = [
    link("job13/a"),
    link("../a"),
    unpacked(frameOf([{ member: fileMember("job12/a"), data: DATA }])),
    unpacked(frameOf([partMember(12, DATA)])),
    tarHeader({ ...fileMember("../d"), type: "directory" }),
    Buffer.alloc(512),
  ];
  for (const raw of bad) assert.throws(() => checkClosingFrame(raw, 12), GarbledInput);
});

test("damaged raw frames give errors, never a crash", () => {
  const long = {
    ...fileMember(`job12/${"deep/".repeat(40)}x`),
    xattrs: [{ name: "user.x", value: Buffer.alloc(30, "v") }],
  };
  const frame = frameOf([
    { member: long, data: DATA },
    { member: fileMember("job12/b"), data: DATA },
    partMember(12, DATA),
  ]);
  const raw = unpacked(frame);
  for (let seed = 0; seed < 5000; seed++) {
    const bad = damaged(raw, new Random(seed));
    if (bad.equals(raw)) continue;
    for (const check of [() => checkDataFrame(bad, frame.entries, 12), () => checkClosingFrame(bad, 12)]) {
      try {
        check();
      } catch (error) {
        assert.ok(error instanceof GarbledInput, `seed ${seed}: ${error}`);
      }
    }
  }
});

test("damaged frames are refused by the threads, which go on", async () => {
  const verifier = new FrameVerifier({ workers: 2 });
  const good = frameOf([{ member: fileMember("job12/b"), data: new Random(2).bytes(20_000) }]);
  for (let seed = 0; seed < 200; seed++) {
    const data = damaged(good.data, new Random(seed));
    if (data.equals(good.data)) continue;
    await assert.rejects(verifier.verify({ ...good, data }, 12), /Frame refused/, `seed ${seed}`);
  }
  await verifier.verify(good, 12);
  await assert.rejects(verifier.verify(rawFrame(Buffer.alloc(1024)), 12), /Frame refused/);
  await verifier.close();
});
