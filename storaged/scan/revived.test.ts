import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { type Db, openForReading } from "../catalog/schema.js";
import { rebaseAlone } from "../retention/rebase.js";
import { Reporter } from "../session/reporter.js";
import type { TestStorage } from "../session/testing.js";
import { contents, history, query, scan, started } from "./testing.js";

function reading<T>(file: string, work: (db: Db) => T): T {
  const db = openForReading(file);
  try {
    return work(db);
  } finally {
    db.close();
  }
}

/** Rewrites the newest run's list so often, and deletes it while no delete record can be written. */
async function rewrittenAndDeleted(storage: TestStorage, rewrites: number): Promise<unknown> {
  const { catalog, desk, deleter } = storage;
  const reporter = new Reporter(async () => undefined);
  const options = { catalog, desk, storage: "sd", reporter, signal: new AbortController().signal };
  const [newest] = (await catalog.listJobs(query({ jobName: "vm" }))).filter(({ status }) => status === "T");
  // From the second one on it stands on its own already.
  for (let i = 0; i < rewrites; i++) {
    if (i === 0) assert.deepEqual(await rebaseAlone(options, [newest!.id]), [newest!.jobId]);
    else {
      const alone = { job: newest!.id, parent: undefined, bases: [], folds: [] };
      const begun = await catalog.writer.beginRewrite(alone);
      for await (const block of catalog.difference(begun.wanted, begun.lower))
        await catalog.writer.addRows(begun.list, new Uint8Array(block));
      await catalog.writer.commitRewrite({ ...alone, extents: [], volumes: [] });
      while (!(await catalog.writer.clearOldList(newest!.id)));
    }
  }
  const before = (contents(catalog.file) as { facts: { job_id: number }; rows: unknown }[]).find(
    ({ facts }) => facts.job_id === newest!.jobId,
  )!;
  for (const { id } of await catalog.reader.listVolumes("", ""))
    await catalog.writer.setVolumeStatus(id, "Read-Only");
  const { warnings } = await deleter.delete([newest!.id]);
  assert.match(warnings.join("\n"), /a scan of it would bring them back/);
  return before.rows;
}

for (const rewrites of [0, 1, 2])
  test(`a deleted job whose list was rewritten ${rewrites} times comes back from its volumes with its list`, async (t) => {
    const storage = await started(t);
    await history(storage);
    const rows = await rewrittenAndDeleted(storage, rewrites);
    const file = join(storage.directory, "scanned.db");
    reading(storage.catalog.file, (db) => db.prepare("VACUUM INTO ?").run(file));
    const { lines } = await scan(storage, { add: true });
    assert.deepEqual(lines, []);
    const found = contents(file) as { facts: { job_id: number }; rows: unknown }[];
    assert.deepEqual(found.at(-1)!.rows, rows);
    const lost = `SELECT job_id FROM job WHERE status IN ('T', 'W')
      AND rows <> (SELECT coalesce(sum(rows), 0) FROM list_in_force WHERE job = job.id)`;
    assert.deepEqual(
      reading(file, (db) => db.prepare(lost).pluck().all()),
      [],
    );
  });
