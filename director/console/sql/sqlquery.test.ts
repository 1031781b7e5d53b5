/** `sqlquery`, `.sql` and `query` as consoles see them, with the real process behind them. */
import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { createLog } from "../../../common/log.js";
import { scratchDirectory } from "../../../common/scratch-directory.js";
import { setClock } from "../../../common/time.js";
import type { DirectorConfig } from "../../config/types.js";
import { DirectorDb, databaseFile } from "../../db/database.js";
import type { CommandContext } from "../context.js";
import { runSession } from "../session.js";
import { FakeDirector, NOON, transcript } from "../testing/fake-director.js";
import { fixtureJobs, recordOf } from "../testing/fixture-jobs.js";
import { setRights } from "../testing/open-console.js";
import { SqlSession } from "./sql-session.js";

const directory = scratchDirectory("sqlquery");
const CATALOG = 'Automatically selected Catalog: MyCatalog\nUsing Catalog "MyCatalog"\n';
const MODE =
  "Entering SQL query mode.\nTerminate each query with a semicolon.\nTerminate query mode with a blank line.\n";

const db = DirectorDb.open(databaseFile(directory));
for (const job of fixtureJobs()) db.jobs.restore(recordOf(job));
db.close();

let director: FakeDirector;
beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
  setDirector({});
});
afterEach(() => {
  setClock();
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith("sql-")),
    [],
  );
});

function setDirector(values: object): void {
  const resource = { ...director.config.director, workingDirectory: directory, ...values };
  director.config = { ...director.config, director: resource } as DirectorConfig;
}

test("a statement that takes all memory ends itself, not the machine", async () => {
  const each = ["x", "y", "z"].map((name) => `hex(zeroblob(200000000)) AS ${name}`).join(", ");
  const sql = `SELECT length(x) + length(y) + length(z) FROM (SELECT ${each} LIMIT 1)`;
  const large = await transcript(director, [`.sql query="${sql}"`, "time"]);
  assert.match(large, /Query failed: .*ERR=(out of memory|the process for SQL ended.*)\ntime\n/);
});

test("statements over several lines, errors, and a blank line at the end", async () => {
  const text = await transcript(director, [
    "sql",
    "SELECT JobId, Name",
    "FROM Job WHERE JobId = 1;",
    "SELECT nosuch FROM Job;",
    "DELETE FROM Job;",
    "SELECT VolumeName, Pool.Name FROM Media JOIN Pool USING (PoolId);",
    "",
    "time",
  ]);
  assert.equal(
    text,
    `sql\n${CATALOG}${MODE}Enter SQL query: SELECT JobId, Name\nAdd to SQL query: FROM Job WHERE JobId = 1;\n` +
      "+-------+------+\n| JobId | Name |\n+-------+------+\n| 1     | vm1  |\n+-------+------+\n" +
      "Enter SQL query: SELECT nosuch FROM Job;\nQuery failed: SELECT nosuch FROM Job;: ERR=no such column: nosuch\n" +
      "Enter SQL query: DELETE FROM Job;\n" +
      "Query failed: DELETE FROM Job;: ERR=only SELECT, WITH, VALUES and EXPLAIN are carried out here\n" +
      "Enter SQL query: SELECT VolumeName, Pool.Name FROM Media JOIN Pool USING (PoolId);\n" +
      "+------------+---------+\n| VolumeName | Name    |\n+------------+---------+\n| Vol-1      | Default |\n" +
      "+------------+---------+\nEnter SQL query: \nEnd query mode.\ntime\nSat 21-Nov-2026 12:00:00\n",
  );
});

test("files of the runs that are named are asked of the storage daemons, a page at a time", async () => {
  director.storage.replies.ListJobMedia = () => [
    {
      extents: [{ jobId: 1, mediaId: 1, volume: "Vol-1", ord: 0, firstOffset: 10, endOffset: 500, files: 7 }],
    },
  ];
  const text = await transcript(director, [
    "sqlquery",
    "SELECT Path || Name AS File FROM File JOIN Path USING (PathId) JOIN Filename USING (FilenameId) WHERE JobId=3;",
    "SELECT VolumeName, FirstIndex, LastIndex FROM JobMedia JOIN Media USING (MediaId) WHERE JobId=1;",
    "SELECT Client.Name FROM Job JOIN Client USING (ClientId) WHERE JobId=3;",
    "",
  ]);
  assert.match(text, /\| File {3}\|\n\+-+\+\n\| \/opt\/ {2}\|\n\| \/opt\/x \|\n/);
  assert.match(text, /\| Vol-1 {6}\| 1 {10}\| 7 {9}\|\n/);
  assert.match(text, /\| vm2-fd \|\n/);
  const lists = director.storage.calls.filter(({ method }) => method === "ListEntries");
  assert.deepEqual(
    lists.map(({ request }) => request.jobIds),
    [[3]],
  );
});

test(".sql: values with tabs, records in JSON, and a restricted console gets neither", async () => {
  const query = '.sql query="SELECT JobId, Name FROM Job ORDER BY JobId"';
  assert.equal(await transcript(director, [query]), `${query}\n1\tvm1\n2\tvm1\n3\tvm2\n`);
  const json = await transcript(director, [".api json", query]);
  assert.deepEqual(JSON.parse(json.trim().split("\n").at(-1)!).data.results[0][2], { JobId: 3, Name: "vm2" });
  setRights(director, { jobAcl: ["vm1"] });
  for (const command of [query, "sqlquery", "query"])
    assert.match(await transcript(director, [command], "op"), /is not allowed for this console\.\n$/);
  setRights(director, {});
  assert.match(await transcript(director, [query], "op"), /3\tvm2\n/);
});

const ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c;";
const processes = () => readdirSync(directory).filter((name) => name.startsWith("sql-"));

test("a statement that does not end is left with Ctrl-C; the next command finds everything as before", async () => {
  let text = "";
  async function* incoming() {
    yield { line: "sqlquery" };
    yield { line: ENDLESS };
    while (processes().length === 0) await setTimeout(10);
    yield { interrupt: true };
    yield { line: '.sql query="SELECT 7"' };
    while (!text.includes("7\n")) await setTimeout(10);
  }
  const log = createLog("test", { level: "silent" });
  await runSession({
    ...{ incoming: incoming(), peer: { name: "admin" }, director, log },
    send: async (output) => {
      text += output.text ?? "";
    },
  });
  assert.ok(!text.includes("Query failed"), text);
  assert.ok(text.endsWith("7\n"), text);
});

test("a statement that takes too long is ended", async () => {
  const context = { signal: new AbortController().signal, whole: director } as unknown as CommandContext;
  const session = new SqlSession(context, 1);
  const sink = { text: async () => undefined, records: async () => undefined };
  await assert.rejects(session.run(ENDLESS, "table", sink), {
    code: "SQL_FAILED",
    message: "it took longer than 1 seconds",
  });
  assert.deepEqual(processes(), []);
  session.close();
});

test("query: questions from the QueryFile by number, prompts, several statements, blocks", async () => {
  const file = join(directory, "query.sql");
  writeFileSync(
    file,
    "# mine\n:Jobs by name\n*Name:\n*At most:\nSELECT JobId FROM Job\nWHERE Name = '%1' ORDER BY JobId LIMIT %2;\n" +
      "!SELECT 100 AS 'of %%';\n:Other\nSELECT 1;\n",
  );
  setDirector({ queryFile: file });
  const text = await transcript(director, ["query", "1", "vm1", "1"]);
  assert.equal(
    text,
    `query\n${CATALOG}Available queries:\n     1: Jobs by name\n     2: Other\nChoose a query (1-2): 1\nName: vm1\nAt most: 1\n` +
      "+-------+\n| JobId |\n+-------+\n| 1     |\n+-------+\n of %: 100\n\n",
  );
  assert.match(await transcript(director, ["query 1 x'y 5"]), /No results to list\.\n of %: 100\n\n$/);
  setDirector({ queryFile: join(directory, "none.sql") });
  assert.match(await transcript(director, ["query"]), /Could not open the QueryFile .*none\.sql: ERR=/);
  for (const [wrong, told] of [
    ["SELECT 1;\n", /:1: the first line of a question must begin with a colon/],
    [":a\nSELECT 1\n:b\nSELECT 2;\n", /:3: the statement before this question has no semicolon/],
    [":a\nSELECT 1\n", /the last statement has no semicolon/],
  ] as const) {
    writeFileSync(file, wrong);
    setDirector({ queryFile: file });
    assert.match(await transcript(director, ["query"]), told);
  }
});

test("the questions that come with the product can all be asked", async () => {
  director.storage.replies.ListJobMedia = () => [
    {
      extents: [{ jobId: 1, mediaId: 1, volume: "Vol-1", ord: 0, firstOffset: 10, endOffset: 500, files: 7 }],
    },
  ];
  const answers = ["vm1", "", "1", "1", "", "1", "Vol-1", "", "", "1 a", "vm1-fd /srv/ a", "1"];
  answers[1] = "vm1-fd 2026-01-01";
  const found: string[] = [];
  for (const [index, answer] of answers.entries()) {
    const text = await transcript(director, [`query ${index + 1} ${answer}`]);
    assert.ok(!text.includes("failed") && !text.includes("ERR="), text);
    found.push(text);
  }
  assert.match(found[0]!, /\| 2 {5}\| I/);
  assert.match(found[6]!, /\| 1 {5}\| vm1/);
  assert.match(found[9]!, /\| \/srv\/a-b {9}\|/);
  assert.match(found[10]!, /\| 1 {5}\| F[\s\S]*\| 2 {5}\| I/);
});
