import assert from "node:assert/strict";
import { test } from "node:test";
import {
  contentDigest,
  encodePart,
  PART_BYTES,
  PartsIdentity,
  ZERO_DIGEST,
} from "../../common/format/content.js";
import {
  decodeXattrs,
  EntryType,
  emptyRow,
  encodeXattrs,
  type Row,
  RowFlag,
  sameRow,
} from "../../common/format/row.js";
import { GarbledInput } from "../../common/format/varint.js";
import { damaged, Random } from "../../test/helpers/random.js";
import { type ContentPlace, formatWhere, hasParts, manifestLine, partsLines, xattrLine } from "./manifest.js";
import { type ManifestItem, ManifestParser } from "./manifest-parse.js";

interface Entry {
  row: Row;
  where: ContentPlace[];
  parts: Buffer;
}

const NAMES = [
  "-",
  "a b",
  "\\0040",
  "\x01\x7f\xff",
  "tab\tnl\n",
  "#",
  "# end rows=1",
  "@",
  "+",
  "plain",
  "a",
  "a-b",
];

function randomParts(random: Random, count: number): Buffer {
  const parts = Buffer.alloc(count * PART_BYTES);
  for (let i = 0, at = 0; i < count; i++) {
    const digest = random.below(4) === 0 ? ZERO_DIGEST : random.bytes(32);
    at = encodePart(parts, at, 1 + random.below(512 * 1024), digest);
  }
  return parts;
}

function randomEntry(random: Random, key: string, parts: number): Entry {
  const type = random.pick(Object.values(EntryType));
  const row = emptyRow(key, type);
  const none = { row, where: [], parts: Buffer.alloc(0) };
  if (type === EntryType.deleted) return none;
  row.flags = random.below(32) & ~RowFlag.parts;
  row.mode = random.below(0o10000);
  row.uid = random.pick([0, 1000, 0xffff_ffff]);
  row.gid = random.below(70_000);
  row.mtimeSec = random.pick([0, -1, -62_135_596_800, 1_700_000_000, 253_402_300_799]);
  row.mtimeNsec = random.pick([0, 1, 500_000_000, 999_999_999]);
  if (random.below(4) === 0) row.group = random.pick(NAMES).replaceAll("/", "_");
  if (random.below(3) === 0) {
    const names = ["user.x", "trusted.o\t v=", "system.posix_acl_access"];
    row.xattrs = encodeXattrs(names.map((name) => ({ name, value: random.bytes(random.below(300)) })));
  }
  if (type === EntryType.symlink) row.target = random.pick([...NAMES, "../x", "/"]);
  if (type === EntryType.charDevice || type === EntryType.blockDevice) {
    row.major = random.below(4096);
    row.minor = random.below(1 << 20);
  }
  if (type !== EntryType.file || random.below(4) === 0) return none;
  const where = random.pick([
    [],
    [{ jobId: 1, volume: "A" }],
    [
      { jobId: 20, volume: "A-1" },
      { jobId: 3, volume: "B:x" },
    ],
  ]);
  if (random.below(2) === 0) {
    row.size = 1 + random.below(1024 * 1024);
    row.content = random.bytes(32);
    return { row, where, parts: Buffer.alloc(0) };
  }
  const list = randomParts(random, parts);
  const identity = new PartsIdentity();
  identity.add(list);
  for (let at = 0; at < list.length; at += PART_BYTES) row.size += list.readUInt32LE(at);
  row.content = identity.digest();
  row.flags |= RowFlag.parts;
  return { row, where, parts: list };
}

function randomEntries(random: Random): Entry[] {
  const keys = new Set<string>();
  for (let i = random.below(30); i >= 0; i--) keys.add(`${random.pick(NAMES)}${random.below(30)}`);
  return [...keys].sort().map((key) => randomEntry(random, key, 1 + random.below(80)));
}

function textOf(entries: readonly Entry[]): Buffer {
  let text = "# basalt manifest 1\n# uuid=x\n# client=\xc3\xa4\n# empty=\n";
  for (const { row, where, parts } of entries) {
    text += manifestLine(row, formatWhere(where));
    if (row.xattrs !== undefined) for (const xattr of decodeXattrs(row.xattrs)) text += xattrLine(xattr);
    text += partsLines(parts);
  }
  return Buffer.from(`${text}# end rows=${entries.length}\n`, "latin1");
}

function parse(text: Buffer, pieceBytes: number): ManifestItem[] {
  const parser = new ManifestParser();
  const items: ManifestItem[] = [];
  for (let at = 0; at < text.length; at += pieceBytes)
    items.push(...parser.push(text.subarray(at, at + pieceBytes)));
  parser.finish();
  return items;
}

function entriesOf(items: readonly ManifestItem[]): Entry[] {
  const entries: Entry[] = [];
  for (const item of items) {
    if (item.type === "row") entries.push({ row: item.row, where: item.where, parts: Buffer.alloc(0) });
    const last = entries.at(-1);
    if (item.type === "parts") last!.parts = Buffer.concat([last!.parts, item.parts]);
  }
  return entries;
}

test("every manifest that is written comes back, however its pieces are cut", () => {
  for (let seed = 0; seed < 200; seed++) {
    const random = new Random(seed);
    const entries = randomEntries(random);
    const items = parse(textOf(entries), random.pick([7, 100, 10_000, 1_000_000]));
    const head = items[0]!;
    assert.ok(head.type === "head");
    assert.deepEqual(
      [...head.facts],
      [
        ["uuid", "x"],
        ["client", "\u00e4"],
        ["empty", ""],
      ],
    );
    assert.deepEqual(items.at(-1), { type: "end", rows: entries.length }, `seed ${seed}`);
    const found = entriesOf(items);
    assert.equal(found.length, entries.length, `seed ${seed}`);
    for (const [i, { row, where, parts }] of entries.entries()) {
      assert.ok(row.key === found[i]!.row.key && sameRow(row, found[i]!.row), `seed ${seed} row ${i}`);
      assert.deepEqual(found[i]!.where, where, `seed ${seed} row ${i}`);
      assert.deepEqual(found[i]!.parts, parts, `seed ${seed} row ${i}`);
      assert.equal(hasParts(found[i]!.row), parts.length > 0);
    }
  }
});

test("a list of parts of any length comes in bounded pieces", () => {
  const random = new Random(1);
  const parts = randomParts(random, 20_000);
  const identity = new PartsIdentity();
  identity.add(parts);
  const row = {
    ...emptyRow("big", EntryType.file),
    flags: RowFlag.parts as number,
    content: identity.digest(),
  };
  for (let at = 0; at < parts.length; at += PART_BYTES) row.size += parts.readUInt32LE(at);
  const text = textOf([{ row, where: [], parts }]);
  const pieces = parse(text, 65_536).filter((item) => item.type === "parts");
  assert.ok(pieces.every((item) => item.parts.length <= 4096 * PART_BYTES));
  assert.deepEqual(Buffer.concat(pieces.map((item) => item.parts)), parts);
  assert.deepEqual(
    pieces.map(({ last }) => last),
    [false, false, false, false, true],
  );
});

test("damage never passes as another manifest, and never crashes", () => {
  for (let seed = 0; seed < 2000; seed++) {
    const random = new Random(seed);
    const entries = randomEntries(new Random(seed % 20));
    const good = textOf(entries);
    const bytes = damaged(good, random);
    if (bytes.equals(good)) continue;
    try {
      // What passes is a well-formed manifest that says something else: it would be written like that.
      const found = entriesOf(parse(bytes, 5000));
      const lines = (text: Buffer) =>
        text
          .latin1Slice()
          .split("\n")
          .filter((line) => !/^# [^=]*=/.test(line));
      // Attributes may stand in any order.
      const body = (text: Buffer) => lines(text).sort();
      assert.deepEqual(body(textOf(found)), body(bytes), `seed ${seed}`);
    } catch (error) {
      if (!(error instanceof GarbledInput)) throw error;
    }
  }
});

test("what is no manifest is refused", () => {
  const digest = contentDigest(Buffer.from("x")).toString("hex");
  const file = (path: string, size: string, content: string) =>
    `f\t${path}\t0644\t0\t0\t${size}\t1\t-\t-\t-\t${content}\t-\n`;
  const wrong: Record<string, string> = {
    cut: file("/a", "0", "-"),
    "another count": `${file("/a", "0", "-")}# end rows=2\n`,
    "behind the end": `# end rows=0\n${file("/a", "0", "-")}`,
    order: `${file("/b", "0", "-")}${file("/a", "0", "-")}# end rows=2\n`,
    "below a file": `${file("/a", "0", "-")}${file("/a/b", "0", "-")}# end rows=2\n`,
    unsafe: `${file("/a/../b", "0", "-")}# end rows=1\n`,
    relative: `${file("a", "0", "-")}# end rows=1\n`,
    "not escaped": `${file("/a b", "0", "-")}# end rows=1\n`,
    "escaped without need": `${file("/\\0141", "0", "-")}# end rows=1\n`,
    "no content": `${file("/a", "1", "-")}# end rows=1\n`,
    "content of nothing": `${file("/a", "0", `blake3:${digest}`)}# end rows=1\n`,
    "no parts": `${file("/a", "1", `parts:${digest}`)}# end rows=1\n`,
    "parts of another": `${file("/a", "1", `parts:${digest}`)}+\t${digest}:1\n# end rows=1\n`,
    "parts of a chunk": `${file("/a", "1", `blake3:${digest}`)}+\t${digest}:1\n# end rows=1\n`,
    "attribute of a deletion": "x\t/a\n@\tuser.x\t-\n# end rows=1\n",
    "fact too late": `${file("/a", "0", "-")}# late=1\n# end rows=1\n`,
    type: "z\t/a\n# end rows=1\n",
    "no newline": "# end rows=0",
  };
  for (const [why, text] of Object.entries(wrong)) {
    assert.throws(() => parse(Buffer.from(`# basalt manifest 1\n# uuid=x\n${text}`), 10), GarbledInput, why);
  }
  assert.throws(() => parse(Buffer.from("# basalt manifest 2\n# end rows=0\n"), 10), GarbledInput);
  assert.throws(() => parse(Buffer.alloc(3_000_000, 0x61), 65_536), GarbledInput);
  assert.equal(parse(Buffer.from("# basalt manifest 1\n# end rows=0\n"), 10).length, 2);
});
