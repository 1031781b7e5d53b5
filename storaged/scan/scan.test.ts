import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { RecordKind } from "../../common/format/frame.js";
import { type Row, RowFlag } from "../../common/format/row.js";
import { Catalog } from "../catalog/catalog.js";
import { rebaseAway } from "../retention/rebase.js";
import { Reporter } from "../session/reporter.js";
import { FileStore } from "../store/file-store.js";
import { VolumeReader } from "../volume/reader.js";
import { decodeJobEnd } from "../volume/records.js";
import { contents, history, query, scan, started, volumes } from "./testing.js";

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
  assert.match(lines.join("\n"), /JobId 1 .*\/large; volumes not scanned: Vol-0001/);
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
