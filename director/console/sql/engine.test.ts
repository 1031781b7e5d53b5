/** SQL over a director's database and what a host gives for the catalogs. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { scratchDirectory } from "../../../common/scratch-directory.js";
import { DirectorDb } from "../../db/database.js";
import { fixtureJobs, recordOf } from "../testing/fixture-jobs.js";
import { SqlEngine } from "./engine.js";
import { fileId, textId } from "./ids.js";
import type { ExtentRow, FileRow, Needs, ResultForm } from "./protocol.js";

const directory = scratchDirectory("sql-engine");
let count = 0;
let engine: SqlEngine;
let needs: Needs[] = [];
let extents: ExtentRow[] = [];
let output = "";

/** Files of a fixture job as a storage daemon lists them. */
function filesOf(jobId: number): FileRow[] {
  const files = Object.entries(fixtureJobs().find((job) => job.jobId === jobId)?.files ?? {});
  return files.map(([name, size], index) => ({
    ...{ jobId, row: index + 1, turn: 0, path: name.replace(/\/$/, ""), mode: 0o644, uid: 0, gid: 0 },
    ...{ size: size ?? 0, mtimeSec: 1_600_000_000, content: size === 0 ? undefined : Buffer.alloc(32, 7) },
    type: size === null ? "deleted" : name.endsWith("/") ? "directory" : "file",
  }));
}

beforeEach(() => {
  const database = join(directory, `director-${++count}.db`);
  const db = DirectorDb.open(database);
  for (const job of fixtureJobs()) db.jobs.restore({ ...recordOf(job), priority: 10 });
  db.log.add({ jobId: 1, timeMs: 1_700_000_000_000, text: "hello" });
  db.close();
  needs = [];
  output = "";
  extents = [];
  engine = new SqlEngine(database, join(directory, `scratch-${count}.db`), {
    fetch: async (needed, scratch) => {
      needs.push(needed);
      if (needed.tables.includes("client")) scratch.addRows("client", [[1, "vm1-fd", "", 1, 60, 90]]);
      if (needed.tables.includes("jobmedia")) {
        scratch.addExtents(extents, (jobId) => engine.filesOf(jobId));
        scratch.finishExtents();
      }
      for (const jobId of needed.files) scratch.addFiles(filesOf(jobId));
      for (const jobId of needed.baseFiles) scratch.addBaseFiles(jobId, filesOf(1).slice(0, 2));
    },
    text: async (text) => {
      output += text;
    },
    records: async (records) => {
      output += JSON.stringify(records);
    },
  });
});
afterEach(() => engine.close());

async function sql(text: string, form: ResultForm = "tabs"): Promise<string> {
  output = "";
  await engine.run(text, form);
  return output;
}

const filesAsked = () => needs.flatMap(({ files }) => files).sort();

test("tables as list prints them", async () => {
  assert.equal(
    await sql("SELECT JobId, Name, NULL AS x, 1.0 AS y FROM Job WHERE JobId < 3 ORDER BY JobId;", "table"),
    "+-------+------+------+-----+\n| JobId | Name | x    | y   |\n+-------+------+------+-----+\n" +
      "| 1     | vm1  | NULL | 1.0 |\n| 2     | vm1  | NULL | 1.0 |\n+-------+------+------+-----+\n",
  );
  assert.equal(await sql("SELECT 1 WHERE 0", "table"), "No results to list.\n");
  assert.equal(
    await sql("SELECT JobId, Name FROM Job WHERE JobId=1", "blocks"),
    " JobId: 1\n  Name: vm1\n\n",
  );
  assert.equal(
    await sql("SELECT 9007199254740993 AS big, 2 AS n", "records"),
    '[{"big":"9007199254740993","n":2}]',
  );
});

test("a long result is the same as a short one, and read twice instead of kept", async () => {
  const numbers = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5000)";
  const lines = (await sql(`${numbers} SELECT x FROM c`, "table")).split("\n");
  assert.equal(lines.length, 5005);
  assert.equal(lines[3], "| 1    |");
  assert.equal(lines[5002], "| 5000 |");
});

test("Job, Client and Log with Bacula's columns; names that the configuration forgot have numbers too", async () => {
  assert.equal(
    await sql("SELECT Job.JobId, Client.Name, ClientId FROM Job JOIN Client USING (ClientId) ORDER BY 1"),
    "1\tvm1-fd\t1\n2\tvm1-fd\t1\n3\tvm2-fd\t2\n",
  );
  assert.equal(
    await sql("SELECT StartTime, JobFiles, HasBase, JobStatus FROM job WHERE jobid=2"),
    "2026-11-21 11:00:00\t1\t0\tT\n",
  );
  assert.equal(await sql('SELECT JobId, LogText FROM Log WHERE LogText = "hello"'), "1\thello\n");
  assert.equal(
    await sql("SELECT JobStatusLong FROM Status WHERE JobStatus = 'T'"),
    "Completed successfully\n",
  );
  for (const table of ["JobHisto", "Location", "Counters", "UnsavedFiles", "LocationLog"])
    assert.equal(await sql(`SELECT * FROM ${table}`), "", table);
});

test("only runs that a statement is about are fetched", async () => {
  assert.equal(
    await sql(
      "SELECT Path.Path, Filename.Name, FileIndex FROM File, Path, Filename WHERE File.JobId = 1 " +
        "AND Path.PathId = File.PathId AND Filename.FilenameId = File.FilenameId ORDER BY FileIndex",
    ),
    "/srv/\t\t1\n/srv/\ta\t2\n/srv/\ta-b\t3\n/srv/etc/\t\t4\n/srv/etc/\thosts\t5\n/srv/etc/\tcaf\\351\t6\n/srv/\tgone\t7\n",
  );
  assert.deepEqual(filesAsked(), [1]);
  needs = [];
  assert.equal(
    await sql("SELECT Job.JobId, count(*) FROM Job JOIN File USING (JobId) WHERE Name = 'vm2' GROUP BY 1"),
    "3\t2\n",
  );
  assert.deepEqual(filesAsked(), [3]);
  needs = [];
  assert.equal(
    await sql("SELECT Path FROM Path WHERE PathId IN (SELECT PathId FROM File WHERE JobId = 3)"),
    "/opt/\n",
  );
  assert.deepEqual(filesAsked(), [3]);
  needs = [];
  await sql("SELECT JobId, count(*) FROM Job WHERE Job.Name = 'File' AND JobId * 2 > 1");
  assert.deepEqual(needs, [{ tables: ["client", "fileset"], files: [], baseFiles: [] }]);
  assert.deepEqual(filesAsked(), []);
  assert.equal(await sql("SELECT count(*) FROM Path"), "3\n");
  assert.deepEqual(filesAsked(), [1, 2, 3]);
});

test("numbers of files follow from what they name; a deletion has FileIndex 0", async () => {
  const places = [1, 2].map((row) => fileId({ jobId: 2, row, turn: 0 }));
  assert.equal(
    await sql(
      "SELECT FileId, FileIndex, PathId, FilenameId, MD5 = '0' FROM File WHERE JobId = 2 ORDER BY FileId",
    ),
    `${places[0]}\t1\t${textId("/srv/")}\t${textId("a")}\t0\n${places[1]}\t0\t${textId("/srv/")}\t${textId("gone")}\t0\n`,
  );
  assert.equal(await sql(`SELECT JobId, Filename FROM File WHERE FileId = ${places[0]}`), "2\ta\n");
});

test("no statement makes more than can be passed on", async () => {
  for (const [text, form] of [
    ["SELECT hex(zeroblob(600000))", "table"],
    ["SELECT zeroblob(1100000)", "records"],
    [
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 80) SELECT zeroblob(900000) FROM c",
      "records",
    ],
    [
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 600000) SELECT count(*) FROM c, need_files(x), File",
      "tabs",
    ],
  ] as const)
    await assert.rejects(sql(text, form), { code: "SQL_REFUSED", message: /more than|larger than/ }, text);
});

test("which runs are needed may depend on files", async () => {
  const nested = "SELECT count(*) FROM File WHERE JobId = (SELECT max(JobId) - 2 FROM File WHERE JobId >= 3)";
  assert.equal(await sql(nested), "7\n");
});

test("JobMedia: from 1 to JobFiles without a gap, addresses in bytes", async () => {
  extents = [
    { jobId: 1, mediaId: 5, firstOffset: 100, endOffset: 2 ** 32 + 100, files: 0 },
    { jobId: 1, mediaId: 5, firstOffset: 2 ** 32 + 50, endOffset: 2 ** 32 + 300, files: 0 },
    { jobId: 1, mediaId: 6, firstOffset: 0, endOffset: 2 ** 32 + 200, files: 0 },
    { jobId: 3, mediaId: 6, firstOffset: 7, endOffset: 9, files: 0 },
  ];
  assert.equal(
    await sql(
      "SELECT JobId, MediaId, FirstIndex, LastIndex, StartFile, StartBlock, EndFile, EndBlock FROM JobMedia ORDER BY JobMediaId",
    ),
    "1\t5\t1\t3\t0\t100\t1\t299\n1\t6\t4\t7\t0\t0\t1\t199\n3\t6\t1\t2\t0\t7\t0\t8\n",
  );
});

test("nothing but reading is carried out", async () => {
  for (const text of [
    "DELETE FROM Job",
    "WITH x AS (SELECT 1) DELETE FROM main.job",
    "UPDATE Media SET VolBytes = 1",
    "PRAGMA user_version",
    "ATTACH '/tmp/x' AS y",
    "EXPLAIN SELECT 1; DROP TABLE job",
    "INSERT INTO s.client VALUES (9, 'x', '', 0, 0, 0)",
    "CREATE TEMP TABLE z (a)",
    "VACUUM INTO '/tmp/x'",
    "BEGIN",
    "",
    "SELECT * FROM outbox",
    "SELECT JobId, (SELECT count(*) FROM main.console_message) FROM Job",
    "WITH x AS (SELECT name FROM counter) SELECT * FROM x",
    "SELECT sql FROM main.sqlite_master",
  ])
    await assert.rejects(sql(text), { code: /SQL_(REFUSED|FAILED)/ }, text);
  await assert.rejects(sql("SELECT nosuch FROM Job"), {
    code: "SQL_FAILED",
    message: /no such column: nosuch/,
  });
  assert.equal(await sql("SELECT count(*) FROM Job"), "3\n");
  assert.equal(await sql("SELECT JobId FROM Job JOIN Log USING (JobId) ORDER BY StartTime, LogId"), "1\n");
});
