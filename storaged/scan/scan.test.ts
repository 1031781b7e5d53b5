import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { encodePart, PartsIdentity, sha256, ZERO_DIGEST } from "../../common/format/content.js";
import { RecordKind } from "../../common/format/frame.js";
import {
  decodeBlock,
  EntryType,
  emptyRow,
  encodeXattrs,
  type Row,
  RowFlag,
} from "../../common/format/row.js";
import { encodeParts } from "../../proto/data/backup.js";
import { Catalog } from "../catalog/catalog.js";
import { type Db, openForReading } from "../catalog/schema.js";
import { rebaseAway } from "../retention/rebase.js";
import { directoryRow, type FakeFiled, fileRow } from "../session/fake-filed.js";
import { Reporter } from "../session/reporter.js";
import { POOL, TestStorage } from "../session/testing.js";
import { FileStore } from "../store/file-store.js";
import { VolumeReader } from "../volume/reader.js";
import { decodeJobEnd } from "../volume/records.js";
import { scanCatalog } from "./scan.js";
import type { ScanResult } from "./types.js";

const noise = (bytes: number, seed: number): Buffer => {
  const out = Buffer.alloc(bytes);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < bytes; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    out[i] = state >>> 16;
  }
  return out;
};

const PIECES = [noise(300_000, 1), noise(250_000, 2)];

/** A file in parts, a link and an odd name, beside small files. */
async function oddTree(fake: FakeFiled, more: Record<string, string> = {}): Promise<void> {
  const parts = Buffer.alloc(3 * 36);
  encodePart(parts, 0, PIECES[0]!.length, sha256(PIECES[0]!));
  encodePart(parts, 36, 1_000_000, ZERO_DIGEST);
  encodePart(parts, 72, PIECES[1]!.length, sha256(PIECES[1]!));
  const hash = new PartsIdentity();
  hash.add(parts);
  const identity = hash.digest();
  for (const bytes of PIECES) {
    await fake.frame([{ key: `.basalt\0parts\0${sha256(bytes).toString("hex")}`, bytes }]);
  }
  const small = Object.entries(more).map(([key, text]) => ({ key, bytes: Buffer.from(text) }));
  if (small.length > 0) await fake.frame(small);
  await fake.stream.send(encodeParts({ sequence: 1, parts, last: { size: 1_550_000, identity } }));
  const xattrs = encodeXattrs([{ name: "user.x", value: Buffer.from([0, 255, 10]) }])!;
  const rows: Row[] = [
    directoryRow(""),
    {
      ...fileRow("large", Buffer.from("x")),
      size: 1_550_000,
      content: identity,
      flags: RowFlag.parts | RowFlag.sparse,
    },
    { ...emptyRow("odd \xff\n-", EntryType.symlink), target: "a b\t", mtimeSec: -5, mtimeNsec: 7, xattrs },
    ...small.map(({ key, bytes }) => fileRow(key, bytes)),
  ];
  rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  await fake.rows(rows);
  await fake.state(rows.map((row) => ({ ...row, state: { ctimeSec: 5, ctimeNsec: 6, inode: 7, links: 1 } })));
  await fake.end();
}

/** Rows of one frame of small files. */
async function rows(
  fake: FakeFiled,
  files: Record<string, string>,
  deleted: readonly string[] = [],
): Promise<void> {
  const all = Object.entries(files).map(([key, text]) => ({ key, bytes: Buffer.from(text) }));
  if (all.length > 0) await fake.frame(all);
  const list = [
    ...all.map(({ key, bytes }) => fileRow(key, bytes)),
    ...deleted.map((key) => emptyRow(key, EntryType.deleted)),
  ].sort((a, b) => (a.key < b.key ? -1 : 1));
  await fake.rows(list);
  await fake.state(list);
  await fake.end();
}

async function started(t: TestContext, pool = {}): Promise<TestStorage> {
  const storage = await new TestStorage().open([{ ...POOL, ...pool }]);
  t.after(async () => {
    await storage.verifier.close();
    await storage.catalog.close();
    rmSync(storage.directory, { recursive: true });
  });
  return storage;
}

/** Base, VM, two Incrementals, a failed job; the deleted job's content is used by the VM. */
async function history(storage: TestStorage): Promise<void> {
  const ok = async (run: Promise<{ result: { ok?: boolean; reason?: string } }>): Promise<void> => {
    const { result } = await run;
    assert.equal(result.ok, true, result.reason);
  };
  await ok(
    storage.backup((fake) => oddTree(fake, { b1: "base one", b2: "base two" }), {
      level: "Base",
      jobName: "base",
    }),
  );
  await ok(storage.backup((fake) => rows(fake, { gone: "deleted job" }), { jobName: "short" }));
  const vm = { base: ["base"] };
  await ok(storage.backup((fake) => rows(fake, { b1: "changed", own: "vm only" }, ["b2"]), vm));
  await ok(
    storage.backup(
      async (fake) => {
        await fake.rows([fileRow("borrowed", Buffer.from("deleted job"))]);
        await fake.end();
      },
      { level: "Incremental" },
    ),
  );
  const failed = await storage.backup(async (fake) => {
    await fake.frame([{ key: "lost", bytes: Buffer.from("never committed") }]);
    throw new Error("the machine died");
  });
  assert.notEqual(failed.result.ok, true);
  await ok(storage.backup((fake) => rows(fake, { new: "i2" }, ["large", "own"]), { level: "Incremental" }));
  const [job] = await storage.catalog.reader.listJobs(query({ jobName: "short" }));
  await storage.deleter.delete([job!.id]);
}

const query = (change: object) => ({
  ...{ jobIds: [], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 },
  ...change,
});

interface Scanned {
  result: ScanResult;
  lines: string[];
  file: string;
}

async function scan(storage: TestStorage, change: object = {}): Promise<Scanned> {
  const lines: string[] = [];
  const file = join(storage.directory, "scanned.db");
  const store = new FileStore();
  const result = await scanCatalog({
    store,
    swap: store,
    verifier: storage.verifier,
    files: volumes(storage),
    devices: storage.devices.values(),
    quick: false,
    add: false,
    dry: false,
    catalogFile: file,
    progress: () => undefined,
    complain: async (line) => void lines.push(line),
    ...change,
  });
  return { result, lines, file };
}

const volumes = (storage: TestStorage): string[] =>
  readdirSync(storage.directory)
    .filter((name) => name.startsWith("Vol-"))
    .map((name) => join(storage.directory, name));

/** Everything that a catalog says of jobs that can be restored, without its own numbers. */
function contents(file: string): unknown {
  const db = openForReading(file);
  try {
    type Job = Record<string, unknown> & { id: number };
    const jobs = db.prepare<[], Job>("SELECT * FROM job WHERE status IN ('T', 'W') ORDER BY id").all();
    return jobs.map((job) => describe(db, job));
  } finally {
    db.close();
  }
}

function describe(db: Db, job: Record<string, unknown> & { id: number }): unknown {
  const all = (sql: string) => db.prepare<[number]>(sql).raw().all(job.id);
  const blocks = db
    .prepare<[number], Buffer>("SELECT data FROM list_block WHERE job = ? ORDER BY seq")
    .pluck()
    .all(job.id);
  const { id, pool, has_state, new_content, dirty, totals, ...rest } = job;
  // What a job wrote altogether is known only after its end record.
  const { bytesStored, rawBytes, ...counts } = JSON.parse(String(totals));
  const facts = { ...rest, totals: counts };
  return {
    facts,
    rows: blocks.flatMap((block) => decodeBlock(block)),
    parents: all(
      "SELECT p.uuid FROM job_parent r JOIN job p ON p.id = r.parent WHERE r.job = ? ORDER BY r.ord",
    ),
    bases: all(
      "SELECT p.uuid FROM job_base r JOIN job p ON p.id = r.base_job WHERE r.job = ? ORDER BY r.ord",
    ),
    needs: all(
      "SELECT v.name, n.chunks, n.bytes FROM job_need n JOIN volume v ON v.id = n.volume WHERE n.job = ? ORDER BY 1",
    ),
    volumes: all(
      "SELECT v.name, j.first_offset, j.end_offset FROM job_volume j JOIN volume v ON v.id = j.volume WHERE j.job = ? AND (SELECT count(*) FROM frame f WHERE f.job = j.job AND f.volume = j.volume) + (SELECT count(*) FROM job_record r WHERE r.job = j.job AND r.volume = j.volume) > 0 ORDER BY 1",
    ),
    records: all(
      "SELECT v.name FROM job_record j JOIN volume v ON v.id = j.volume WHERE j.job = ? ORDER BY 1",
    ),
    frames: all(
      "SELECT v.name, f.offset, f.bytes, f.raw_bytes, f.entries FROM frame f JOIN volume v ON v.id = f.volume WHERE f.job = ? ORDER BY 1, 2",
    ),
    chunks: all(
      "SELECT c.digest, c.offset, c.length, f.offset FROM chunk c JOIN frame f ON f.id = c.frame WHERE c.job = ? ORDER BY 1",
    ),
    parts: all(
      "SELECT c.identity, c.size, p.seq, p.data FROM content c JOIN content_part p ON p.content = c.id WHERE c.job = ? ORDER BY 1, 3",
    ),
  };
}

test("a catalog made from volumes alone says the same as the one that was lost", async (t) => {
  const storage = await started(t, { maximumVolumeBytes: 255_000 });
  await history(storage);
  assert.ok(volumes(storage).length > 2, "the jobs span volumes");
  const before = contents(storage.catalog.file);
  const { result, lines, file } = await scan(storage);
  assert.deepEqual(lines, []);
  assert.deepEqual(contents(file), before);
  assert.equal((before as unknown[]).length, 4);
  assert.deepEqual([result.jobs, result.leftOut, result.damagedFiles, result.problems], [4, 0, 0, 0]);
  assert.equal(result.ghosts, 1);
  const again = await scan(storage, { files: volumes(storage).reverse(), add: true });
  assert.deepEqual(contents(file), before, "adding what is there changes nothing");
  assert.equal(again.result.present, 4);
  rmSync(file);
  await scan(storage, { files: volumes(storage).reverse() });
  assert.deepEqual(contents(file), before, "in any order of the volumes");
  rmSync(file);
  await scan(storage, { quick: true });
  assert.deepEqual(contents(file), before, "and from the indexes of frames");
});

test("pools and volumes come back as their labels say", async (t) => {
  const storage = await started(t, { volumeRetention: 86_400, dedupScope: "client" });
  await history(storage);
  const { file } = await scan(storage);
  const catalog = await Catalog.open(file, () => undefined);
  t.after(() => catalog.close());
  const [pool] = await catalog.reader.listPools("");
  assert.deepEqual({ ...pool, id: 0 }, { ...(await storage.catalog.reader.listPools(""))[0]!, id: 0 });
  const [volume] = await catalog.reader.listVolumes("", "");
  const [old] = await storage.catalog.reader.listVolumes("", "");
  assert.equal(volume!.status, "Used");
  for (const key of ["name", "uuid", "device", "mediaType", "labelMs", "retention", "bytes"] as const) {
    assert.equal(volume![key], old![key], key);
  }
  assert.equal(await catalog.reader.highestJobId(), 6);
});

test("a list that was folded into another one stays folded", async (t) => {
  const storage = await started(t);
  await history(storage);
  const { catalog, desk } = storage;
  const reporter = new Reporter(async () => undefined);
  const signal = new AbortController().signal;
  const [base] = await catalog.reader.listJobs(query({ jobName: "base" }));
  await rebaseAway({ catalog, desk, storage: "sd", reporter, signal }, [base!.id]);
  await storage.deleter.delete([base!.id]);
  const before = contents(catalog.file) as { facts: { revision: number } }[];
  assert.ok(before.some(({ facts }) => facts.revision > 1));
  const { lines, file, result } = await scan(storage);
  assert.deepEqual(lines, []);
  assert.equal(result.jobs, 3);
  const strip = (all: unknown) =>
    (all as { facts: Record<string, unknown> }[]).map(({ facts, ...rest }) => {
      const { totals, base_files, files, bytes, ...others } = facts;
      const { parts, frames, volumes: extents, ...more } = rest as Record<string, unknown>;
      return { ...more, facts: others };
    });
  assert.deepEqual(strip(contents(file)), strip(before));
});

test("a catalog that knows jobs is not touched without being told to", async (t) => {
  const storage = await started(t);
  await history(storage);
  const { file } = await scan(storage);
  const before = readFileSync(file);
  await assert.rejects(scan(storage), { code: "CATALOG_NOT_EMPTY" });
  assert.deepEqual(readFileSync(file), before);
  rmSync(file);
  await scan(storage, { dry: true });
  assert.deepEqual(
    readdirSync(storage.directory).filter((name) => name.startsWith("scanned")),
    [],
  );
});

test("what is missing is told, and the rest comes back", async (t) => {
  const storage = await started(t, { maximumVolumeBytes: 255_000 });
  await history(storage);
  const all = volumes(storage);
  // Without the first volume the Base has lost content, and its list lies on the last of its volumes.
  const { result, lines, file } = await scan(storage, { files: all.slice(1) });
  assert.equal(result.jobs, 4);
  assert.equal(result.damagedFiles, 1);
  assert.match(lines.join("\n"), /JobId 1 .*"\/large".*volumes not scanned: Vol-0001/);
  const found = contents(file) as { rows: Row[]; facts: { status: string } }[];
  assert.equal(found[0]!.facts.status, "W");
  assert.ok(found[0]!.rows.find(({ key }) => key === "large")!.flags & RowFlag.damaged);
  // Only the last volume: nothing that lies over lists elsewhere can be restored.
  rmSync(file);
  const last = await scan(storage, { files: all.slice(-1) });
  assert.equal(last.result.jobs + last.result.leftOut > 0, true);
  for (const line of last.lines) assert.match(line, /left out|on none of the volumes/);
  // The others turn up: what was left out comes back.
  const more = await scan(storage, { files: all, add: true });
  assert.deepEqual([more.result.jobs, more.result.leftOut], [4, 0], more.lines.join("\n"));
});

test("content of a job whose end is lost still serves the jobs that name it", async (t) => {
  const storage = await started(t);
  await history(storage);
  const [path] = volumes(storage);
  const bytes = readFileSync(path!);
  const reader = await VolumeReader.open(new FileStore(), path!);
  for await (const item of reader.scan({ frames: false })) {
    if (item.type !== "record" || item.kind !== RecordKind.jobEnd) continue;
    if (decodeJobEnd(item.body).jobName === "short") bytes[item.end - 1]! ^= 1;
  }
  await reader.close();
  writeFileSync(path!, bytes);
  const { result } = await scan(storage);
  assert.deepEqual([result.jobs, result.damagedFiles, result.problems], [4, 0, 1]);
});

test("volumes in a wrong place, twice, or none at all are told", async (t) => {
  const storage = await started(t);
  await history(storage);
  const [path] = volumes(storage);
  const other = join(storage.directory, "other-name");
  writeFileSync(other, readFileSync(path!));
  const { result, lines } = await scan(storage, { files: [path, path, other, "/nowhere"] });
  assert.equal(result.volumes, 1);
  assert.equal(result.problems, 3);
  assert.match(lines.join("\n"), /was given already(.|\n)*must have that name(.|\n)*nowhere/);
  await assert.rejects(scan(storage, { files: [other], add: true }), { code: "SCAN_NOTHING" });
});

test("damage anywhere never brings back a wrong job, and the others come back", async (t) => {
  const storage = await started(t);
  await history(storage);
  const [path] = volumes(storage);
  const good = readFileSync(path!);
  const { file } = await scan(storage);
  type Found = { facts: { uuid: string }; rows: Row[] };
  const intact = JSON.stringify(contents(file));
  const whole = new Map((contents(file) as Found[]).map((job) => [job.facts.uuid, job.rows]));
  const reader = await VolumeReader.open(new FileStore(), path!);
  const places: number[] = [];
  for await (const { offset, end } of reader.scan())
    places.push(offset + 2, Math.floor((offset + end) / 2), end - 2);
  await reader.close();
  let kept = 0;
  for (const at of places.slice(3)) {
    rmSync(file);
    const bytes = Buffer.from(good);
    bytes[at]! ^= 0x10;
    writeFileSync(path!, bytes);
    const { result, lines } = await scan(storage);
    // What only a deleted job needs is not looked at.
    const noticed = lines.length > 0 || JSON.stringify(contents(file)) === intact;
    assert.ok(noticed, `byte ${at}`);
    assert.equal(lines.length > 0, result.problems + result.leftOut > 0, `byte ${at}`);
    for (const { facts, rows: found } of contents(file) as Found[]) {
      const sound = found.map((row) => ({ ...row, flags: row.flags & ~RowFlag.damaged }));
      // The deleted job may come back when its delete record is what was damaged.
      const expected = whole.get(facts.uuid);
      if (expected !== undefined) assert.deepEqual(sound, expected, `byte ${at}`);
      kept++;
    }
    const db = openForReading(file);
    assert.equal(
      db.prepare("SELECT status FROM volume").pluck().get(),
      lines.length > 0 ? "Read-Only" : "Used",
    );
    db.close();
  }
  assert.ok(kept > places.length, `${kept} jobs came back in ${places.length} scans`);
});

test("records in the content of a file are not believed behind damage", async (t) => {
  const storage = await started(t);
  await history(storage);
  const [inner] = volumes(storage).map((path) => readFileSync(path));
  // A file that is itself a piece of a volume, in a frame that zstd cannot make smaller.
  const label = inner!.readUInt32LE(4) + 8;
  const piece = Buffer.concat([noise(50_000, 9), inner!.subarray(label, label + 40_000), noise(50_000, 10)]);
  const outer = await started(t);
  const run = await outer.backup(async (fake) => {
    await fake.frame([{ key: "image", bytes: piece }]);
    await fake.rows([fileRow("image", piece)]);
    await fake.end();
  });
  assert.equal(run.result.ok, true);
  const [path] = volumes(outer);
  const bytes = readFileSync(path!);
  const reader = await VolumeReader.open(new FileStore(), path!);
  let at = 0;
  for await (const item of reader.scan()) if (item.type === "frame" && at === 0) at = item.offset;
  await reader.close();
  bytes[at + 20]! ^= 1;
  writeFileSync(path!, bytes);
  const { file } = await scan(outer);
  const names = (contents(file) as { facts: { uuid: string } }[]).length;
  assert.ok(names <= 1, "only the outer job may come back");
  const db = openForReading(file);
  assert.equal(db.prepare("SELECT count(*) FROM job WHERE job_name <> 'vm'").pluck().get(), 0);
  db.close();
});
