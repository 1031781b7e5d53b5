import assert from "node:assert/strict";
import { closeSync, openSync, readSync, renameSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import Database from "better-sqlite3";
import { contentDigest, encodePart, PART_BYTES, PartsIdentity } from "../../common/format/content.js";
import { EntryType, emptyRow, type Row, RowFlag } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { encodeParts } from "../../proto/data/backup.js";
import { asBuffer } from "../catalog/worker-rpc.js";
import { type FakeFiled, fileRow } from "../session/fake-filed.js";
import { TestStorage } from "../session/testing.js";
import { runCheck } from "./check.js";
import { findingText, summaryText } from "./print.js";
import type { CheckOptions, Finding } from "./types.js";

let storage: TestStorage;
const FILES = { "etc/a": "content of a", "etc/b": "content of b", c: "content of c" };

beforeEach(async () => {
  await storage?.close();
  storage = await new TestStorage().open();
  const run = await storage.backup((fake) => fake.tree(FILES, ["", "etc"]));
  assert.equal(run.result.ok, true, run.result.reason);
});
after(() => storage.close());

const PLAIN: CheckOptions = { volume: "", pool: "", repair: false, quick: false, bytesPerSec: 0 };

/** Findings but those about the catalog's own files, which lie beside the volumes here. */
async function check(options: Partial<CheckOptions> = {}) {
  const findings: Finding[] = [];
  const { catalog, store, verifier, devices } = storage;
  const deps = { catalog, store, verifier, devices: () => devices, inUse: () => false };
  const finding = async (found: Finding) => {
    if (!found.text.includes("catalog.db")) findings.push(found);
  };
  const summary = await runCheck(
    deps,
    { ...PLAIN, ...options },
    { finding, progress: async () => undefined },
  );
  return { findings, summary, texts: findings.map(findingText) };
}

function volume(): string {
  return join(storage.directory, "Vol-0001");
}

function sql(text: string): void {
  const db = new Database(join(storage.directory, "catalog.db"), { timeout: 10_000 });
  try {
    db.exec(text);
  } finally {
    db.close();
  }
}

function ask<T>(text: string): T {
  const db = new Database(join(storage.directory, "catalog.db"), { readonly: true });
  try {
    return db.prepare(text).pluck().get() as T;
  } finally {
    db.close();
  }
}

/** Flips a bit of the first data frame's end, or back. */
function damage(): void {
  const end = ask<number>("SELECT offset + bytes FROM frame WHERE length(entries) > 1 ORDER BY id LIMIT 1");
  const file = openSync(volume(), "r+");
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, end - 6);
  byte[0] = byte[0]! ^ 4;
  writeSync(file, byte, 0, 1, end - 6);
  closeSync(file);
}

test("nothing is wrong with what was just written", async () => {
  const { findings, summary } = await check();
  assert.deepEqual(findings, []);
  assert.ok(summary.volumes === 1 && summary.frames >= 2 && summary.bytes > 0);
  assert.match(summaryText({ ...summary, findings: 0 }), /all good\n$/);
});

test("a volume that is missing, short, another one, or no volume", async () => {
  renameSync(volume(), `${volume()}x`);
  const gone = await check({ quick: true });
  assert.match(gone.texts[0]!, /^extra: .*Vol-0001x is no volume of the catalog\n$/);
  assert.match(gone.texts[1]!, /^missing: Volume "Vol-0001": .*does not exist\n {2}needed by JobId 1\n$/);
  const lost = gone.findings.filter(({ path }) => path !== "").map(({ path }) => path);
  assert.deepEqual(lost.sort(), ["/c", "/etc/a", "/etc/b"]);
  assert.deepEqual(gone.summary.jobIds, [1]);
  writeFileSync(volume(), "something else");
  const wrong = await check();
  assert.deepEqual(
    wrong.findings.slice(0, 3).map(({ kind }) => kind),
    ["extra", "short", "damaged"],
  );
  renameSync(`${volume()}x`, volume());
  truncateSync(volume(), ask<number>("SELECT bytes FROM volume") - 10);
  const short = await check();
  assert.equal(short.findings[0]?.kind, "short");
  assert.ok(
    short.texts.some((text) => /the end record of JobId 1 .* is missing/.test(text)),
    short.texts.join(""),
  );
});

test("a volume of the same name but with another UUID is not looked into", async () => {
  sql("UPDATE volume SET uuid = '00000000-0000-0000-0000-000000000000'");
  const { texts } = await check();
  assert.match(texts[0]!, /^mislabeled: .*another volume of that name/);
});

test("frames and needs that the volumes prove come back", async () => {
  sql("DELETE FROM job_need; DELETE FROM chunk; DELETE FROM frame WHERE length(entries) > 1");
  const before = await check();
  assert.ok(
    before.texts.some((text) => /3 chunks of a good frame of a kept job are not in the catalog/.test(text)),
  );
  assert.deepEqual(before.summary.jobIds, [1]);
  const repaired = await check({ repair: true });
  assert.deepEqual(repaired.summary.jobIds, [], repaired.texts.join(""));
  assert.deepEqual((await check()).texts, []);
});

test("chunks alone come back too", async () => {
  sql("DELETE FROM chunk");
  await check({ repair: true });
  assert.deepEqual((await check()).texts, []);
});

test("a list block that cannot be read, and chunks without frame", async () => {
  sql("UPDATE list_block SET data = x'0102030405060708090a0b0c'");
  sql("INSERT INTO chunk VALUES (x'00', 1, 1, 4711, 0, 1, 0)");
  const { texts } = await check();
  assert.ok(
    texts.some((text) => /^catalog: JobId 1: list block 0 \(\/ to \/etc\/b\) is not readable: /.test(text)),
    texts.join(""),
  );
  assert.ok(texts.some((text) => /1 chunks lie in frames that are not in the catalog/.test(text)));
});

test("damage is set aside, lists carry it, and the next backup heals the old job", async () => {
  damage();
  const found = await check();
  assert.equal(found.summary.jobIds[0], 1);
  assert.equal(ask<number>("SELECT count(*) FROM chunk WHERE damaged = 1"), 0);
  await check({ repair: true });
  assert.equal(ask<number>("SELECT count(*) FROM chunk WHERE damaged = 1"), 3);
  assert.equal(ask<number>("SELECT errors FROM volume"), 1);
  const again = await check({ repair: true });
  assert.ok(again.findings.some(({ repaired }) => repaired === "set aside before"));
  assert.equal(ask<number>("SELECT errors FROM volume"), 1, "counted once");
  let rows: Row[] = [];
  const run = await storage.backup(
    async (fake: FakeFiled) => {
      rows = (await fake.list(0)).flatMap((block) => decodeBlock(block));
      await fake.frame([{ key: "etc\0a", bytes: Buffer.from(FILES["etc/a"]) }]);
      await fake.rows([fileRow("etc\0a", Buffer.from(FILES["etc/a"]))]);
      await fake.end();
    },
    { level: "Incremental" },
  );
  assert.equal(run.result.ok, true, run.result.reason);
  const marked = rows.filter(({ flags }) => (flags & RowFlag.damaged) !== 0).map(({ key }) => key);
  assert.deepEqual(marked, ["c", "etc\0a", "etc\0b"]);
  assert.ok(
    rows.every(({ state }) => state !== undefined),
    "states went with them",
  );
  const left = await check();
  const lost = left.findings
    .filter(({ path, jobIds }) => path !== "" && jobIds[0] === 1)
    .map(({ path }) => path);
  assert.deepEqual(lost.sort(), ["/c", "/etc/b"], "a is good again, for the old job too");
});

test("a mark is taken back when the frame is good", async () => {
  damage();
  await check({ repair: true });
  damage();
  const plain = await check();
  assert.ok(
    plain.texts.some((text) => /is marked as damaged and is good\n/.test(text)),
    plain.texts.join(""),
  );
  await check({ repair: true });
  assert.deepEqual((await check()).texts, []);
});

test("content in parts with a damaged part", async () => {
  const pieces = ["one part", "and another"].map((text) => Buffer.from(text));
  const list = Buffer.alloc(2 * PART_BYTES);
  for (const [i, piece] of pieces.entries())
    encodePart(list, i * PART_BYTES, piece.length, contentDigest(piece));
  const identity = new PartsIdentity();
  identity.add(list);
  const size = pieces[0]!.length + pieces[1]!.length;
  const row: Row = {
    ...emptyRow("big", EntryType.file),
    size,
    content: identity.digest(),
    flags: RowFlag.parts,
  };
  await storage.backup(
    async (fake: FakeFiled) => {
      await fake.frame([{ key: "big", bytes: pieces[0]! }]);
      await fake.frame([{ key: "big", bytes: pieces[1]! }]);
      await fake.stream.send(
        encodeParts({ sequence: 0, parts: list, last: { size, identity: row.content! } }),
      );
      await fake.rows([row]);
      await fake.end();
    },
    { jobName: "other", client: "other-fd" },
  );
  sql(`UPDATE chunk SET damaged = 1 WHERE digest = x'${contentDigest(pieces[1]!).toString("hex")}'`);
  const id = ask<number>("SELECT id FROM job WHERE job_name = 'other'");
  const blocks: Row[] = [];
  for await (const block of storage.catalog.blocks([id])) blocks.push(...decodeBlock(asBuffer(block)));
  assert.deepEqual(
    blocks.map(({ key, flags }) => [key, flags]),
    [["big", RowFlag.parts | RowFlag.damaged]],
  );
});

test("an unknown volume, and an interrupt", async () => {
  await assert.rejects(check({ volume: "Nope" }), /Volume "Nope" is not in the catalog/);
  const { catalog, store, verifier, devices } = storage;
  const deps = { catalog, store, verifier, devices: () => devices, inUse: () => false };
  const abort = AbortSignal.abort(new Error("stopped"));
  const telling = { finding: async () => undefined, progress: async () => undefined };
  await assert.rejects(runCheck(deps, PLAIN, telling, abort), /stopped/);
});

test("content that is on no volume is noted, stored by the next backup, and the note goes", async () => {
  sql("DELETE FROM chunk");
  sql("DELETE FROM frame WHERE length(entries) > 1");
  const end = ask<number>("SELECT min(offset) FROM frame");
  const file = openSync(volume(), "r+");
  writeSync(file, Buffer.alloc(64), 0, 64, end - 70);
  closeSync(file);
  const found = await check({ repair: true });
  assert.ok(
    found.texts.some((text) => /^missing: JobId 1: content is on no volume: \/c /.test(text)),
    found.texts.join(""),
  );
  assert.equal(ask<number>("SELECT count(*) FROM chunk WHERE frame = 0 AND damaged = 1"), 3);
  let marked = 0;
  const run = await storage.backup(
    async (fake: FakeFiled) => {
      const rows = (await fake.list(0)).flatMap((block) => decodeBlock(block));
      marked = rows.filter(({ flags }) => (flags & RowFlag.damaged) !== 0).length;
      await fake.tree(FILES, ["", "etc"]);
    },
    { level: "Incremental" },
  );
  assert.equal(run.result.ok, true, run.result.reason);
  assert.equal(marked, 3);
  assert.equal(ask<number>("SELECT count(*) FROM chunk WHERE damaged = 1"), 0);
  const { summary } = await check();
  assert.deepEqual(summary.jobIds, [], "the old job is whole again");
});
