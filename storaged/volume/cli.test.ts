import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { contentDigest, encodePart, PART_BYTES } from "../../common/format/content.js";
import { RecordKind } from "../../common/format/frame.js";
import { EntryType, emptyRow, RowFlag } from "../../common/format/row.js";
import { Random } from "../../test/helpers/random.js";
import { FileStore } from "../store/file-store.js";
import { runVolumeCommand } from "./cli.js";
import { TEST_JOB, writeVolume } from "./fixture.js";
import { VolumeReader } from "./reader.js";
import { VolumeWriter } from "./writer.js";

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const status = await runVolumeCommand(args, {
    out: async (text) => {
      out += text;
    },
    err: async (text) => {
      err += text;
    },
  });
  return { status, out, err };
}

const CHUNK = new Random(9).bytes(40_000);

async function volume(t: TestContext): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "basalt-cli-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "Full-0001");
  const files = new Map<string, Buffer>();
  const rows = [{ ...emptyRow("", EntryType.directory), mode: 0o755 }];
  const parts = Buffer.alloc(PART_BYTES);
  encodePart(parts, 0, CHUNK.length, contentDigest(CHUNK));
  rows.push({
    ...emptyRow("big", EntryType.file),
    size: CHUNK.length,
    content: Buffer.alloc(32, 7),
    flags: RowFlag.parts,
  });
  for (let i = 0; i < 40; i++) {
    const data = new Random(i).bytes(60_000);
    const key = `dir-${String(i).padStart(2, "0")}\xff\n`;
    files.set(key, data);
    rows.push({
      ...emptyRow(key, EntryType.file),
      mode: 0o4755,
      size: data.length,
      content: contentDigest(data),
    });
  }
  rows.push({ ...emptyRow("link", EntryType.symlink), mode: 0o777, target: "a\x1b[31m" });
  await writeVolume(new FileStore(), path, {
    rows,
    files,
    chunks: [CHUNK],
    partsOf: async function* () {
      yield parts;
    },
  });
  return path;
}

test("usage is told with status 2", async () => {
  for (const args of [
    [],
    ["ls"],
    ["verify"],
    ["nonsense", "x"],
    ["ls", "--what", "x"],
    ["verify", "--jobs", "x"],
  ]) {
    const { status, out, err } = await run(...args);
    assert.equal(status, 2);
    assert.equal(out, "");
    assert.match(err, /usage: basalt volume/);
  }
  assert.equal((await run("--help")).status, 0);
});

test("ls lists label, jobs and members without raw control characters", async (t) => {
  const path = await volume(t);
  const { status, out, err } = await run("ls", path);
  assert.deepEqual([status, err], [0, ""]);
  const lines = out.split("\n");
  assert.match(lines[0]!, /^Volume Full-0001: pool Full, media type File, storage sd1, labelled 2026/);
  assert.match(lines[1]!, /^Job 12 van\.2026-11-21_23\.05\.00_03: Full of client hv1-fd/);
  assert.match(lines[2]!, /^-rwsr-xr-x 0\/0 +60000 1970-01-01 00:00 job12\/dir-00\\377\\012$/);
  assert.ok(lines.some((line) => line.endsWith("job12/link -> a\\033[31m")));
  assert.match(lines.at(-2)!, /^End of job 12: status T, 43 files/);
  assert.equal(lines.length, 1 + 2 + 40 + 1 + 2 + 1 + 1);
  const jobs = await run("ls", "--jobs", path);
  assert.equal(jobs.out.split("\n").length, 4);
});

test("verify finds a good volume good", async (t) => {
  const { status, out } = await run("verify", await volume(t));
  assert.equal(status, 0);
  assert.match(out, /: good: 5 frames, 41 chunks, \d+ bytes checked\n$/);
});

test("an end record may stand on a volume that its job has nothing else on, and its number is that of its begin", async (t) => {
  const path = await volume(t);
  const end = { ...TEST_JOB, status: "T", endMs: 1, rows: 0, files: 0, bytes: 0 };
  const over = { parents: [], bases: [], volumes: [] };
  const append = async (job: { jobUuid: string; jobId: number }): Promise<void> => {
    const writer = await VolumeWriter.open(new FileStore(), path, statSync(path).size);
    await writer.appendRecord(RecordKind.jobEnd, { ...end, ...over, ...job });
    await writer.close();
  };
  await append({ jobUuid: randomUUID(), jobId: 7 });
  const { status, out } = await run("verify", path);
  assert.equal(status, 0, out);
  assert.doesNotMatch(out, /does not end here/);
  await append({ jobUuid: TEST_JOB.jobUuid, jobId: 7 });
  const wrong = await run("verify", path);
  assert.equal(wrong.status, 1);
  assert.match(wrong.out, /end of job 7, which began here as job 12/);
});

test("files that are missing or no volumes are told with status 1, others are still looked at", async (t) => {
  const path = await volume(t);
  writeFileSync(`${path}.txt`, "no volume");
  for (const verb of ["ls", "verify"]) {
    const { status, out, err } = await run(verb, `${path}.none`, `${path}.txt`, path);
    assert.equal(status, 1);
    assert.match(err, /no such file or directory/);
    assert.match(verb === "ls" ? err : out, /not a record of a Basalt volume/);
    assert.match(out, /Volume Full-0001/);
  }
});

async function frames(
  path: string,
): Promise<{ offset: number; end: number; recordEnd: number; entries: number }[]> {
  const reader = await VolumeReader.open(new FileStore(), path);
  const out = [];
  for await (const item of reader.scan()) {
    if (item.type !== "frame") continue;
    const { offset, end, index } = item;
    out.push({ offset, end, recordEnd: end - index.compressedBytes, entries: index.entries.length });
  }
  await reader.close();
  return out;
}

test("a flipped bit anywhere is found; the files of a damaged frame are named, and no others", async (t) => {
  const path = await volume(t);
  const good = readFileSync(path);
  const places = await frames(path);
  const second = places[1]!;
  for (let seed = 0; seed < 60; seed++) {
    const bytes = Buffer.from(good);
    const at = new Random(seed).below(bytes.length);
    bytes[at] = bytes[at]! ^ (1 << (seed % 8));
    writeFileSync(path, bytes);
    const { status, out } = await run("verify", path);
    assert.equal(status, 1, `seed ${seed}`);
    assert.match(out, /DAMAGED in 1 place/, `seed ${seed}`);
    const frame = places.find(({ recordEnd, end }) => at >= recordEnd && at < end);
    if (frame !== undefined)
      assert.match(out, new RegExp(`at byte ${frame.offset}: .*of job 12`), `seed ${seed}`);
    const named = out.split("\n").filter((line) => line.startsWith("  damaged file: job 12 /"));
    assert.equal(named.length, frame?.entries ?? 0, `seed ${seed}`);
  }
  const bytes = Buffer.from(good);
  bytes[second.recordEnd + 5000]! ^= 4;
  writeFileSync(path, bytes);
  const { out } = await run("verify", path);
  assert.ok(out.includes("  damaged file: job 12 /dir-20\\0377\\0012\n"), out);
});

test("a lost part names the file that needs it; a torn end is told", async (t) => {
  const path = await volume(t);
  const good = readFileSync(path);
  const last = (await frames(path)).findLast(({ entries }) => entries > 0)!;
  const bytes = Buffer.from(good);
  bytes[last.end - 1]! ^= 1;
  writeFileSync(path, bytes);
  assert.match((await run("verify", path)).out, /damaged file: job 12 \/big\n/);
  writeFileSync(path, good.subarray(0, good.length - 20));
  const torn = await run("verify", path);
  assert.equal(torn.status, 1);
  assert.match(torn.out, /ends inside a record/);
  assert.match(torn.out, /job 12 does not end here/);
  assert.match((await run("ls", path)).err, /ends inside a record/);
});
