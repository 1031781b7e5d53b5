import assert from "node:assert/strict";
import { test } from "node:test";
import { damaged, Random } from "../../test/helpers/random.js";
import { decodeXattrs, EntryType, emptyRow, encodeXattrs, type Row, RowFlag, sameRow } from "./row.js";
import { BlockWriter, decodeBlock, openBlock, passRow, readRow, rowsInBlock } from "./row-block.js";
import { ByteWriter, GarbledInput } from "./varint.js";

const TYPES = Object.values(EntryType);

function randomRow(random: Random, key: string): Row {
  const row = emptyRow(key, random.pick(TYPES));
  row.flags = random.below(32) | (random.below(2) * RowFlag.fifo);
  if (random.below(2) === 0) row.state = { ctimeSec: -5, ctimeNsec: 999_999_999, inode: 2 ** 40, links: 3 };
  if (row.type === EntryType.deleted) return row;
  row.mode = random.below(0o10000);
  row.uid = random.pick([0, 1000, 0xffff_ffff]);
  row.gid = random.below(70_000);
  row.mtimeSec = random.pick([0, -1, -62_135_596_800, 1_700_000_000, 253_402_300_799]);
  row.mtimeNsec = random.below(1_000_000_000);
  if (random.below(3) === 0) row.group = "a\0first";
  if (random.below(3) === 0)
    row.xattrs = encodeXattrs([{ name: "user.x", value: random.bytes(random.below(40)) }]);
  if (row.type === EntryType.file && random.below(3) > 0) {
    row.size = 1 + random.below(2 ** 31) * 1024;
    row.content = random.bytes(32);
  }
  if (row.type === EntryType.symlink)
    row.target = random
      .bytes(1 + random.below(200))
      .toString("latin1")
      .replaceAll("\0", "x");
  if (row.type === EntryType.charDevice || row.type === EntryType.blockDevice) {
    row.major = random.below(4096);
    row.minor = random.below(1 << 20);
  }
  return row;
}

function randomRows(random: Random): Row[] {
  const keys = new Set<string>();
  for (let i = random.below(40); i >= 0; i--) {
    keys.add(
      ["a", "a\0b", "a-b", "a.b", "a\0b\0c", "z\xff"][random.below(6)]! +
        (random.below(2) === 0 ? "" : `${i}`),
    );
  }
  return [...keys].sort().map((key) => randomRow(random, key));
}

function block(rows: readonly Row[], state: boolean): Buffer {
  const writer = new BlockWriter({ state });
  for (const row of rows) writer.add(row);
  return writer.finish();
}

test("blocks of any rows come back", () => {
  for (let seed = 0; seed < 300; seed++) {
    const rows = randomRows(new Random(seed));
    const encoded = block(rows, true);
    assert.equal(rowsInBlock(encoded), rows.length);
    assert.deepEqual(decodeBlock(encoded), rows, `seed ${seed}`);
    const bare = decodeBlock(block(rows, false));
    assert.deepEqual(
      bare,
      rows.map((row) => ({ ...row, state: undefined })),
      `seed ${seed}`,
    );
    assert.ok(bare.every((row, i) => sameRow(row, rows[i]!)));
  }
});

test("rows are passed as far as they are read", () => {
  for (let seed = 0; seed < 300; seed++) {
    const rows = randomRows(new Random(seed));
    const { reader, withState } = openBlock(block(rows, seed % 2 === 0));
    let previous = "";
    for (const { key } of rows) {
      const { at } = reader;
      const passed = passRow(reader, previous, withState);
      const { at: end } = reader;
      reader.at = at;
      assert.equal(readRow(reader, previous, withState).key, key, `seed ${seed}`);
      assert.deepEqual([passed, end], [key, reader.at], `seed ${seed}`);
      previous = key;
    }
    assert.ok(reader.done);
  }
});

test("a writer starts afresh after finish, and refuses rows out of order", () => {
  const writer = new BlockWriter({ state: false });
  writer.add(emptyRow("b", EntryType.directory));
  assert.throws(() => writer.add(emptyRow("b", EntryType.directory)), RangeError);
  assert.throws(() => writer.add(emptyRow("a", EntryType.directory)), RangeError);
  writer.finish();
  writer.add(emptyRow("a", EntryType.directory));
  assert.equal(writer.firstKey, "a");
  assert.deepEqual(decodeBlock(writer.finish()), [emptyRow("a", EntryType.directory)]);
});

/** An uncompressed block around hand-made rows. */
function rawBlock(rows: number, payload: Buffer, rawBytes = payload.length): Buffer {
  const head = Buffer.alloc(10);
  head[0] = 1;
  head.writeUInt32LE(rows, 2);
  head.writeUInt32LE(rawBytes, 6);
  return Buffer.concat([head, payload]);
}

function rawRow(build: (out: ByteWriter) => void): Buffer {
  const out = new ByteWriter();
  build(out);
  return Buffer.from(out.bytes());
}

test("rows that no walk can make are refused", () => {
  const start = (out: ByteWriter, key: string, type: number, flags = 0) => {
    out.uint(0);
    out.latin1(key);
    out.u8(type);
    out.uint(flags);
  };
  const numbers = (out: ByteWriter, ...values: number[]) => {
    for (const value of values) out.uint(value);
  };
  const cases: [string, Buffer][] = [
    [
      "unsafe path",
      rawBlock(
        1,
        rawRow((out) => start(out, "../x", EntryType.deleted)),
      ),
    ],
    [
      "type",
      rawBlock(
        1,
        rawRow((out) => start(out, "x", 9)),
      ),
    ],
    [
      "flags",
      rawBlock(
        1,
        rawRow((out) => start(out, "x", EntryType.deleted, 256)),
      ),
    ],
    [
      "mode",
      rawBlock(
        1,
        rawRow((out) => {
          start(out, "x", EntryType.fifo);
          numbers(out, 0o10000, 0, 0, 0, 0);
        }),
      ),
    ],
    [
      "owner",
      rawBlock(
        1,
        rawRow((out) => {
          start(out, "x", EntryType.fifo);
          numbers(out, 0, 2 ** 32, 0, 0, 0);
        }),
      ),
    ],
    [
      "target",
      rawBlock(
        1,
        rawRow((out) => {
          start(out, "x", EntryType.symlink);
          numbers(out, 0, 0, 0, 0, 0);
          out.latin1("a\0b");
        }),
      ),
    ],
    [
      "target",
      rawBlock(
        1,
        rawRow((out) => {
          start(out, "x", EntryType.symlink);
          numbers(out, 0, 0, 0, 0, 0);
          out.latin1("");
        }),
      ),
    ],
    [
      "device",
      rawBlock(
        1,
        rawRow((out) => {
          start(out, "x", EntryType.charDevice);
          numbers(out, 0, 0, 0, 0, 0, 2 ** 32, 0);
        }),
      ),
    ],
    [
      "group",
      rawBlock(
        1,
        rawRow((out) => {
          start(out, "x", EntryType.fifo, RowFlag.linked);
          numbers(out, 0, 0, 0, 0, 0);
          out.latin1("/");
        }),
      ),
    ],
    ["ends early", rawBlock(0xffff_ffff, Buffer.alloc(0))],
    ["another length", rawBlock(0, Buffer.alloc(0), 5)],
    ["too large", rawBlock(0, Buffer.alloc(0), 0xffff_ffff)],
    ["bytes after", rawBlock(0, Buffer.alloc(1))],
    [
      "order",
      rawBlock(2, Buffer.concat([rawRow((out) => start(out, "b", 7)), rawRow((out) => start(out, "a", 7))])),
    ],
    [
      "prefix",
      rawBlock(
        1,
        rawRow((out) => out.uint(3)),
      ),
    ],
    ["version", Buffer.concat([Buffer.of(2), Buffer.alloc(9)])],
  ];
  for (const [message, bytes] of cases) {
    assert.throws(
      () => decodeBlock(bytes),
      (error) => error instanceof GarbledInput && error.message.includes(message),
      message,
    );
  }
});

test("damaged blocks give an error or rows with safe keys, never a crash", () => {
  for (let seed = 0; seed < 4000; seed++) {
    const random = new Random(seed);
    const rows = randomRows(random);
    const payload = new ByteWriter();
    payload.raw(block(rows, seed % 2 === 0));
    try {
      decodeBlock(damaged(payload.bytes(), random));
    } catch (error) {
      assert.ok(error instanceof GarbledInput, `seed ${seed}: ${error}`);
    }
  }
});

test("equal sets of attributes are equal bytes, impossible ones are refused", () => {
  const a = { name: "user.a", value: Buffer.from("1") };
  const b = { name: "security.capability", value: Buffer.from([0, 255]) };
  assert.deepEqual(encodeXattrs([a, b]), encodeXattrs([b, a]));
  assert.deepEqual(decodeXattrs(encodeXattrs([a, b])!), [b, a]);
  assert.equal(encodeXattrs([]), undefined);
  assert.throws(() => decodeXattrs(encodeXattrs([{ name: "", value: a.value }])!), GarbledInput);
  assert.throws(
    () => decodeXattrs(encodeXattrs([{ name: "a", value: Buffer.alloc(65_537) }])!),
    GarbledInput,
  );
  assert.throws(() => decodeXattrs(Buffer.from([200])), GarbledInput);
});
