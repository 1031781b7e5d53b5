/** For tests: storages with a history, and catalogs made from their volumes. */

import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { contentDigest, encodePart, PartsIdentity, ZERO_DIGEST } from "../../common/format/content.js";
import { EntryType, emptyRow, encodeXattrs, type Row, RowFlag } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { encodeParts } from "../../proto/data/backup.js";
import { type Db, openForReading } from "../catalog/schema.js";
import { directoryRow, type FakeFiled, fileRow } from "../session/fake-filed.js";
import { POOL, TestStorage } from "../session/testing.js";
import { FileStore } from "../store/file-store.js";
import { scanCatalog } from "./scan.js";
import type { ScanResult } from "./types.js";

export const noise = (bytes: number, seed: number): Buffer => {
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
  encodePart(parts, 0, PIECES[0]!.length, contentDigest(PIECES[0]!));
  encodePart(parts, 36, 1_000_000, ZERO_DIGEST);
  encodePart(parts, 72, PIECES[1]!.length, contentDigest(PIECES[1]!));
  const hash = new PartsIdentity();
  hash.add(parts);
  const identity = hash.digest();
  for (const bytes of PIECES) {
    await fake.frame([{ key: `.basalt\0parts\0${contentDigest(bytes).toString("hex")}`, bytes }]);
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

export async function started(t: TestContext, pool = {}): Promise<TestStorage> {
  const storage = await new TestStorage().open([{ ...POOL, ...pool }]);
  t.after(async () => {
    await storage.verifier.close();
    await storage.catalog.close();
    rmSync(storage.directory, { recursive: true });
  });
  return storage;
}

/** Base, VM, two Incrementals, a failed job; the deleted job's content is used by the VM. */
export async function history(storage: TestStorage): Promise<void> {
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

export const query = (change: object) => ({
  ...{ jobIds: [], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 },
  ...change,
});

interface Scanned {
  result: ScanResult;
  lines: string[];
  file: string;
}

export async function scan(storage: TestStorage, change: object = {}): Promise<Scanned> {
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

export const volumes = (storage: TestStorage): string[] =>
  readdirSync(storage.directory)
    .filter((name) => name.startsWith("Vol-"))
    .map((name) => join(storage.directory, name));

/** Everything that a catalog says of jobs that can be restored, without its own numbers. */
export function contents(file: string): unknown {
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
    .prepare<[number], Buffer>("SELECT data FROM list_in_force WHERE job = ? ORDER BY seq")
    .pluck()
    .all(job.id);
  const { id, pool, has_state, new_content, dirty, totals, list_turn, ...rest } = job;
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
