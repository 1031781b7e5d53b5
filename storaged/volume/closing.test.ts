import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { codeOf } from "../../common/errors.js";
import { contentDigest, PART_BYTES } from "../../common/format/content.js";
import { EntryType, encodeXattrs, type Row, RowFlag } from "../../common/format/row.js";
import { skipWithout } from "../../common/test-needs.js";
import { FileStore } from "../store/file-store.js";
import { buildClosing } from "./closing.js";
import { built, closing, HELLO, IN_THREAD, PARTS, rowOf, small } from "./closing-testing.js";
import { blocksOf, writeVolume } from "./fixture.js";

const IDENTITY = Buffer.alloc(32, 0xcd);

/** One of everything, in path order. */
const ROWS: Row[] = [
  rowOf("", EntryType.directory, { mode: 0o750 }),
  rowOf(".basalt", EntryType.directory),
  rowOf(".basalt\0x", EntryType.symlink, { target: "/" }),
  rowOf("big", EntryType.file, { size: 2_000_012, content: IDENTITY, flags: RowFlag.parts | RowFlag.sparse }),
  rowOf("dir", EntryType.directory, {
    mode: 0o1555,
    xattrs: encodeXattrs([{ name: "user.k", value: Buffer.from("v\0") }]),
  }),
  small("dir\0a", HELLO, { group: "dir\0a" }),
  rowOf("dir\0empty", EntryType.file),
  rowOf("dir\0fifo", EntryType.fifo),
  small("dir\0hard", HELLO, { group: "dir\0a" }),
  rowOf("dir\0link \xff", EntryType.symlink, { target: "no where\n" }),
  rowOf("gone", EntryType.deleted),
  rowOf("tty", EntryType.charDevice, { major: 5, minor: 1 }),
];

test("everything without bytes becomes a member, directories behind what lies in them; the manifest has a line for every row", async () => {
  const { members, manifest } = await built(closing(ROWS));
  assert.deepEqual(members, [
    "file job12/.basalt/manifest/000001",
    "file job12/dir/empty",
    "fifo job12/dir/fifo",
    "link job12/dir/hard > job12/dir/a",
    "symlink job12/dir/link \xff > no where\n",
    "directory job12/dir/",
    "char job12/tty",
    "directory job12/",
  ]);
  const hello = contentDigest(HELLO).toString("hex");
  const time = "1600000000.000000042";
  assert.deepEqual(manifest.split("\n"), [
    "# basalt manifest 1",
    "# client=hv1 x",
    `d\t/\t0750\t0\t0\t0\t${time}\t-\t-\t-\t-\t-`,
    `d\t/.basalt\t0755\t0\t0\t0\t${time}\t-\t-\t-\t-\t-`,
    `l\t/.basalt/x\t0644\t0\t0\t0\t${time}\t-\t-\t/\t-\t-`,
    `f\t/big\t0644\t0\t0\t2000012\t${time}\ts\t-\t-\tparts:${"cd".repeat(32)}\t3@Old,12@Full-0001`,
    `+\t${hello}:6 zero:2000000 ${hello}:6`,
    `d\t/dir\t1555\t0\t0\t0\t${time}\t-\t-\t-\t-\t-`,
    "@\tuser.k\tdgA=",
    `f\t/dir/a\t0644\t0\t0\t6\t${time}\t-\t/dir/a\t-\tblake3:${hello}\t12@Full-0001`,
    `f\t/dir/empty\t0644\t0\t0\t0\t${time}\t-\t-\t-\t-\t-`,
    `p\t/dir/fifo\t0644\t0\t0\t0\t${time}\t-\t-\t-\t-\t-`,
    `f\t/dir/hard\t0644\t0\t0\t6\t${time}\t-\t/dir/a\t-\tblake3:${hello}\t12@Full-0001`,
    `l\t/dir/link\\0040\\0377\t0644\t0\t0\t0\t${time}\t-\t-\tno\\0040where\\0012\t-\t-`,
    "x\t/gone",
    `c\t/tty\t0644\t0\t0\t0\t${time}\t-\t-\t5:1\t-\t-`,
    "# end rows=12",
    "",
  ]);
});

test("without a member for the first link, further ones stand in the manifest alone", async () => {
  const { members } = await built(closing(ROWS, { selfContained: false }));
  assert.ok(!members.some((member) => member.startsWith("link")));
  const group = "big";
  const large = { size: 2_000_012, content: IDENTITY, flags: RowFlag.parts, group };
  const rows = [rowOf("big", EntryType.file, large), rowOf("big2", EntryType.file, large)];
  assert.deepEqual((await built(closing(rows))).members, ["file job12/.basalt/manifest/000001"]);
});

test("many blocks are built by a thread to the same bytes, in frames of about 1 MiB", async () => {
  const rows: Row[] = [...ROWS];
  for (let i = 0; i < 9000; i++)
    rows.push(rowOf(`z${String(i).padStart(6, "0")}`, EntryType.symlink, { target: "t" }));
  for (let i = 0; i < 3000; i++) rows.push(small(`zz${String(i).padStart(6, "0")}`, HELLO));
  const threaded = await built(closing(rows, IN_THREAD, 500));
  const inPlace = await built(closing(rows.slice(0, 2000), {}, 2000));
  const threadedPart = await built(closing(rows.slice(0, 2000), IN_THREAD, 1000));
  assert.deepEqual(threadedPart, inPlace);
  assert.ok(threaded.frames.length > 5);
  for (const { rawBytes, entries } of threaded.frames) {
    assert.ok(rawBytes < 1024 * 1024 + 4096);
    assert.deepEqual(entries, []);
  }
  assert.equal(threaded.manifest.split("\n").filter((line) => /^[a-z]\t/.test(line)).length, rows.length);
  assert.match(threaded.manifest, /# end rows=12012\n$/);
});

test("a content of very many parts streams over lines and members", async () => {
  const segment = Buffer.concat(Array.from({ length: 4096 }, () => PARTS.subarray(0, PART_BYTES)));
  let given = 0;
  const { members, manifest } = await built(
    closing(
      [rowOf("big", EntryType.file, { size: 4096 * 12 * 6, content: IDENTITY, flags: RowFlag.parts })],
      {
        partsOf: async function* () {
          for (; given < 12; given++) yield segment;
        },
      },
    ),
  );
  assert.equal(given, 12);
  const lines = manifest.split("\n").filter((line) => line.startsWith("+"));
  assert.equal(
    lines.reduce((sum, line) => sum + line.split(" ").length, 0),
    4096 * 12,
  );
  assert.ok(lines.every((line) => line.length < 2048));
  assert.ok(members.length > 3);
});

test("lists that are not lists are refused", async () => {
  const below = [small("a", HELLO), small("a\0b", HELLO)];
  const throughLink = [rowOf("a", EntryType.symlink, { target: "/etc" }), rowOf("a\0passwd", EntryType.file)];
  const twoBlocks = async function* () {
    yield* blocksOf([small("b", HELLO)]);
    yield* blocksOf([small("a", HELLO)]);
  };
  const garbage = async function* () {
    yield Buffer.from("garbage that is no block");
  };
  const lists = [
    () => blocksOf(below),
    () => blocksOf(below, 1),
    () => blocksOf(throughLink),
    twoBlocks,
    garbage,
  ];
  for (const blocks of lists) {
    for (const where of [IN_THREAD, {}]) {
      const input = closing([], { ...where, blocks: blocks() });
      await assert.rejects(built(input), (error) => codeOf(error) === "LIST_GARBLED");
    }
  }
});

test("errors of the callbacks come through, in place and from the thread, and the source is closed", async () => {
  for (const perBlock of [1, 100]) {
    for (const failing of ["locate", "partsOf", "emit"]) {
      let closed = false;
      const blocks = async function* () {
        try {
          yield* blocksOf(ROWS, perBlock);
          yield* blocksOf(perBlock === 1 ? [rowOf("zz", EntryType.fifo)] : []);
        } finally {
          closed = true;
        }
      };
      const fail = (): never => {
        throw new Error(`no ${failing}`);
      };
      const input = closing([], {
        ...(perBlock === 1 ? IN_THREAD : {}),
        blocks: blocks(),
        ...(failing === "locate" ? { locate: fail } : {}),
        ...(failing === "partsOf" ? { partsOf: fail } : {}),
      });
      await assert.rejects(
        buildClosing(input, async () => (failing === "emit" ? fail() : undefined)),
        { message: `no ${failing}` },
      );
      assert.ok(closed, `${failing} ${perBlock}`);
    }
  }
  const signal = AbortSignal.abort();
  await assert.rejects(built(closing(ROWS, { signal })), { name: "AbortError" });
});

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "basalt-volume-"));
  t.after(() => {
    spawnSync("chmod", ["-R", "u+w", directory]);
    rmSync(directory, { recursive: true });
  });
  return directory;
}

/** What extracting the volume must give. */
function checkTree(top: string): void {
  const at = (name: string) => Buffer.concat([Buffer.from(`${top}/job12/`), Buffer.from(name, "latin1")]);
  assert.deepEqual(readFileSync(at("dir/a")), HELLO);
  assert.equal(lstatSync(at("dir/hard")).ino, lstatSync(at("dir/a")).ino);
  assert.equal(lstatSync(at("dir/empty")).size, 0);
  assert.ok(lstatSync(at("dir/fifo")).isFIFO());
  assert.equal(readlinkSync(at("dir/link \xff"), { encoding: "buffer" }).toString("latin1"), "no where\n");
  for (const name of ["", "dir", "dir/a", "dir/fifo", "dir/empty"]) {
    assert.equal(lstatSync(at(name), { bigint: true }).mtimeNs, 1_600_000_000_000_000_042n, name);
  }
  assert.equal(lstatSync(at("dir")).mode & 0o7777, 0o1555);
  assert.equal(lstatSync(at("")).mode & 0o7777, 0o750);
  const part = contentDigest(HELLO).toString("hex");
  assert.deepEqual(readdirSync(at(".basalt/parts")), [part]);
  assert.ok(existsSync(at(".basalt/manifest/000001")));
}

const PROGRAMS: Record<string, [command: string, ...options: string[]]> = {
  "GNU tar": ["tar", "--zstd"],
  bsdtar: ["bsdtar"],
};

for (const [name, [command, ...options]] of Object.entries(PROGRAMS)) {
  test(`${name} lists and extracts a volume`, async (t) => {
    if (spawnSync(command, ["--version"]).error !== undefined) return skipWithout(command, t);
    const directory = temporary(t);
    const path = join(directory, "Full-0001");
    // Devices need root.
    const rows = ROWS.filter(({ type }) => type !== EntryType.charDevice);
    const chunks = [HELLO];
    const files = new Map([["dir\0a", HELLO]]);
    await writeVolume(new FileStore(), path, {
      rows,
      files,
      chunks,
      partsOf: async function* () {
        yield PARTS;
      },
    });
    const env = { ...process.env, LC_ALL: "C" };
    const listed = spawnSync(command, [...options, "-tf", path], { env });
    assert.equal(listed.stderr.toString(), "");
    assert.equal(listed.stdout.toString("latin1").trimEnd().split("\n").length, 9);
    const extracted = spawnSync(command, [...options, "-xpf", path, "-C", directory], { env });
    assert.equal(extracted.stderr.toString(), "");
    assert.equal(extracted.status, 0);
    checkTree(directory);
    return undefined;
  });
}
