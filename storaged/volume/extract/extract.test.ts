import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { contentDigest } from "../../../common/format/content.js";
import { encodeFrameIndex, encodeRecord, type FrameEntry, RecordKind } from "../../../common/format/frame.js";
import { EntryType, emptyRow, type Row } from "../../../common/format/row.js";
import { packageRoot } from "../../../common/package.js";
import { Random } from "../../../test/helpers/random.js";
import { FileStore } from "../../store/file-store.js";
import { runVolumeCommand } from "../cli.js";
import { type BuiltFrame, rawFrame, TEST_JOB, TEST_UUID, writeVolume } from "../fixture.js";
import { uuidBytes } from "../json.js";

const fixture = (name: string): string =>
  join(packageRoot(), "storaged", "volume", "fixtures", `${name}.volume`);

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const status = await runVolumeCommand(args, {
    out: async (text) => void out.push(text),
    err: async (text) => void err.push(text),
  });
  return { status, out: out.join(""), err: err.join("") };
}

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "basalt-extract-test-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

test("a whole job comes back, links and holes and times too", async (t) => {
  const to = join(directory(t), "new");
  const { status, out, err } = await run("extract", fixture("everything"), "--to", to);
  // An ordinary user can neither make devices nor give files away.
  if (process.getuid?.() === 0) assert.deepEqual([status, out], [0, "97 entries extracted, 0 not\n"], err);
  assert.equal(readFileSync(join(to, "plain"), "utf8"), "a plain file\n");
  const { mtimeNs } = lstatSync(join(to, "plain"), { bigint: true });
  assert.equal(mtimeNs, 1_700_000_000_123_456_789n);
  assert.equal(lstatSync(join(to, "before-1970"), { bigint: true }).mtimeNs, -1_250_000_000n);
  assert.equal(statSync(join(to, "linked/first")).ino, statSync(join(to, "linked/second")).ino);
  assert.equal(statSync(join(to, "in-parts")).size, 3000 + 4096 + 2000 + 100 + 3000);
  assert.equal(readlinkSync(join(to, "symlink"), "latin1" as BufferEncoding), "../caf\xe9 \n");
  assert.equal(readFileSync(join(to, ".basalt/kept"), "utf8"), "of Basalt's own name");
  assert.equal(lstatSync(join(to, "order/a"), { bigint: true }).mtimeNs, 1_000_000_001n);
  assert.equal(readdirSync(join(to, "names")).length, 8);
});

test("paths, jobs and Bases are chosen; what is missing is named", async (t) => {
  const base = directory(t);
  const both = [fixture("delta"), fixture("base")];
  const one = join(base, "one");
  assert.equal((await run("extract", ...both, "--job", "5", "--path", "/etc/copy", "--to", one)).status, 0);
  assert.deepEqual(readdirSync(join(one, "etc")), ["copy"]);
  const full = await run("extract", ...both, "--job", "4", "--list");
  assert.match(full.out, /\/etc\/kept\n/);
  assert.match(full.out, /\/etc\/flips -> kept\n/);
  assert.doesNotMatch(full.out, /etc\/tree/);
  const alone = join(base, "alone");
  const { status, err, out } = await run("extract", fixture("delta"), "--to", alone);
  assert.equal(status, 1);
  assert.match(err, /lies over job 00000000-0000-4000-8000-000000000003, whose list is on none/);
  assert.match(err, /not extracted: \/etc\/copy: content da49ea69[0-9a-f]+ is on none of these volumes/);
  assert.match(out, /^4 entries extracted, 2 not/);
  assert.equal(existsSync(join(alone, "etc/copy")), false, "nothing is left of it");
  assert.equal((await run("extract", ...both, "--job", "77", "--list")).status, 1);
  assert.match((await run("extract", ...both, "--job", "77", "--list")).err, /finished jobs here: 3, 4, 5/);
});

test("a deleted job's list is gone, its content is not", async (t) => {
  const to = directory(t);
  const volumes = [fixture("rewritten-1"), fixture("rewritten-2")];
  assert.equal((await run("extract", ...volumes, "--job", "6", "--list")).status, 1);
  assert.equal((await run("extract", fixture("rewritten-2"), "--path", "/stays", "--to", to)).status, 0);
  assert.equal(readFileSync(join(to, "stays"), "utf8"), "content of job 6");
  assert.match((await run("extract", ...volumes, "--list")).out, /\/stays\n$/);
});

test("nothing is overwritten unless that is asked for", async (t) => {
  const to = directory(t);
  const volumes = [fixture("rewritten-1"), fixture("rewritten-2")];
  writeFileSync(join(to, "stays"), "mine");
  const kept = await run("extract", ...volumes, "--to", to);
  assert.equal(kept.status, 1);
  assert.match(kept.err, /not extracted: \/stays: already exists/);
  assert.equal(readFileSync(join(to, "stays"), "utf8"), "mine");
  rmSync(join(to, "more"));
  assert.equal((await run("extract", ...volumes, "--to", to, "--replace")).status, 0);
  assert.equal(readFileSync(join(to, "stays"), "utf8"), "content of job 6");
  assert.equal(
    (await run("extract", fixture("everything"), "--to", to, "--replace")).err.includes("not extr"),
    false,
  );
  const again = await run("extract", fixture("everything"), "--to", to, "--replace");
  if (process.getuid?.() === 0) assert.equal(again.status, 0, again.err);
  assert.deepEqual(
    readdirSync(to).filter((name) => name.startsWith(".basalt-extract")),
    [],
  );
});

test("symbolic links that are there are not followed", async (t) => {
  const base = directory(t);
  const [to, outside] = [join(base, "to"), join(base, "outside")];
  mkdirSync(to);
  mkdirSync(outside);
  symlinkSync(outside, join(to, "etc"));
  for (const more of [[], ["--replace"]]) {
    const result = await run("extract", fixture("delta"), fixture("base"), "--to", to, ...more);
    assert.equal(result.status, 1);
    assert.match(result.err, /not extracted: \/etc\/changed: .*(not a directory|too many symbolic links)/);
    assert.deepEqual(readdirSync(outside), []);
  }
});

test("a damaged chunk costs its file alone", async (t) => {
  const base = directory(t);
  const path = join(base, "volume");
  const rows: Row[] = [{ ...emptyRow("", EntryType.directory), mode: 0o755 }];
  const files = new Map<string, Buffer>();
  for (let i = 0; i < 4; i++) {
    // As long as a frame is wide, so that each has one of its own.
    const data = new Random(i).bytes(1_048_576);
    files.set(`f${i}`, data);
    rows.push({
      ...emptyRow(`f${i}`, EntryType.file),
      mode: 0o600,
      size: data.length,
      content: contentDigest(data),
    });
  }
  await writeVolume(new FileStore(), path, { rows, files });
  const bytes = readFileSync(path);
  bytes[1_500_000]! ^= 1;
  writeFileSync(path, bytes);
  const { status, err, out } = await run("extract", path, "--to", join(base, "to"));
  assert.equal(status, 1);
  assert.equal(err.match(/not extracted: .*is damaged/g)?.length, 1);
  assert.match(out, /^4 entries extracted, 1 not/);
});

test("a copy is equal and checked; a damaged volume is not copied", async (t) => {
  const base = directory(t);
  const [copy, damaged] = [join(base, "copy"), join(base, "damaged")];
  const { status, out } = await run("copy", fixture("everything"), copy);
  assert.equal(status, 0);
  assert.match(out, /good: /);
  assert.deepEqual(readFileSync(copy), readFileSync(fixture("everything")));
  assert.equal((await run("copy", fixture("base"), copy)).status, 1);
  assert.deepEqual(readFileSync(copy), readFileSync(fixture("everything")), "not overwritten");
  cpSync(copy, damaged);
  const bytes = readFileSync(damaged);
  bytes[1500]! ^= 4;
  writeFileSync(damaged, bytes);
  const refused = await run("copy", damaged, join(base, "second"));
  assert.equal(refused.status, 1);
  assert.match(refused.err, /damaged and was not copied/);
  for (const from of [fixture("torn"), fixture("later-cipher"), fixture("later-format"), join(base, "none")])
    assert.equal((await run("copy", from, join(base, "second"))).status, 1);
  assert.equal(existsSync(join(base, "second")), false);
});

/** Raw blocks of zstd, so that the bytes stand on the volume as they are. */
function storedFrame(raw: Buffer, entries: FrameEntry[]): BuiltFrame {
  const packed = rawFrame(new Random(7).bytes(raw.length), entries);
  const at = packed.data.length - raw.length - 4 - 3 * Math.ceil(raw.length / 131_072);
  assert.ok(at > 0 && at < 20 && raw.length < 131_072, "one block that could not be compressed");
  raw.copy(packed.data, at + 3);
  return packed;
}

test("records in the content of a file do not count, also behind damage", async (t) => {
  const path = join(directory(t), "volume");
  const uuid = (digit: string): string => `00000000-0000-4000-8000-00000000000${digit}`;
  const forged = Buffer.concat([
    encodeRecord(
      RecordKind.catalog,
      Buffer.from(JSON.stringify({ op: "delete", timeMs: 1, jobs: [{ jobUuid: TEST_UUID, revision: 9 }] })),
    ),
    encodeRecord(
      RecordKind.jobEnd,
      Buffer.from(
        JSON.stringify({ ...TEST_JOB, ...{ jobUuid: uuid("1"), jobId: 66, status: "T", endMs: 1, rows: 0 } }),
      ),
    ),
  ]);
  const rows: Row[] = [{ ...emptyRow("", EntryType.directory), mode: 0o755 }];
  await writeVolume(new FileStore(), path, { rows, files: new Map() });
  const good = readFileSync(path);
  const raw = Buffer.concat([new Random(3).bytes(40_000), forged, new Random(4).bytes(40_000)]);
  const padded = Buffer.concat([raw, new Random(5).bytes((512 - (raw.length % 512)) % 512)]);
  const { data, rawBytes } = storedFrame(padded, []);
  const index = encodeRecord(
    RecordKind.frameIndex,
    encodeFrameIndex({
      jobUuid: uuidBytes(TEST_UUID),
      sequence: 99,
      compressedBytes: data.length,
      rawBytes,
      entries: [],
    }),
  );
  // Its record is damaged, so that what follows has to be searched for.
  index[index.length - 1]! ^= 1;
  const end = good.length;
  writeFileSync(path, Buffer.concat([good, index, data]));
  const { status, out, err } = await run("extract", path, "--list");
  assert.equal(status, 1);
  assert.match(err, new RegExp(`at byte ${end}: record checksum differs`));
  assert.match(err, /state of job 12 /, "the forged deletion does not count");
  assert.match(out, / \/\n$/);
});

test("wrong usage is told with status 2", async () => {
  const wrong = [
    ["extract"],
    ["extract", "x"],
    ["extract", "x", "--to"],
    ["extract", "x", "--nonsense"],
    ["copy"],
    ["copy", "x"],
    ["copy", "x", "y", "z"],
    ["copy", "x", "--y"],
  ];
  for (const args of wrong) {
    const { status, err } = await run(...args);
    assert.equal(status, 2, args.join(" "));
    assert.match(err, /usage: basalt volume/);
  }
});
