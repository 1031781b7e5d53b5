/** SQL over Bacula's tables and the file browser for programs, with two storage daemons and jobs over several volumes. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { compareTrees } from "../../helpers/compare.js";
import { ConsoleSession } from "../../helpers/console-session.js";
import { copyTree, Scenario } from "../../helpers/scenario.js";
import { SecondStorage } from "../../helpers/second-storage.js";
import { dirOp, fileOp, runTreeOps, type TreeOp } from "../../helpers/tree-ops.js";

const random = (path: string, size: number, seed = path): TreeOp =>
  fileOp(path, { kind: "random", size, seed });

/** JobMedia against Job as scripts check it: from 1 to JobFiles without a gap, addresses that never go back. */
const CHECK = {
  ranges:
    "SELECT Job.JobId, JobFiles, min(FirstIndex) AS low, max(LastIndex) AS high FROM Job JOIN JobMedia USING (JobId) " +
    "WHERE JobStatus='T' AND Type='B' GROUP BY 1 HAVING low <> 1 OR high <> JobFiles",
  gaps:
    "SELECT a.JobId FROM JobMedia a JOIN JobMedia b ON b.JobId=a.JobId AND b.VolIndex=a.VolIndex+1 " +
    "WHERE b.FirstIndex > a.LastIndex+1 OR b.FirstIndex < a.LastIndex",
  addresses:
    "SELECT JobId FROM JobMedia WHERE (StartFile<<32)+StartBlock > (EndFile<<32)+EndBlock UNION " +
    "SELECT a.JobId FROM JobMedia a JOIN JobMedia b ON b.JobId=a.JobId AND b.MediaId=a.MediaId AND b.JobMediaId>a.JobMediaId " +
    "WHERE (b.StartFile<<32)+b.StartBlock < (a.EndFile<<32)+a.EndBlock",
  without:
    "SELECT JobId FROM Job WHERE Type='B' AND JobStatus='T' AND JobFiles>0 AND JobId NOT IN (SELECT JobId FROM JobMedia)",
};

describe("query", () => {
  let scenario: Scenario;
  let second: SecondStorage;
  let session: ConsoleSession;
  let asked = 0;

  before(async () => {
    scenario = await Scenario.create("query", { keepConsole: true });
    second = await SecondStorage.create(scenario.installation);
    await scenario.define(
      [
        { name: "ref", level: "Base", pool: "Small" },
        { name: "vm", pool: "Small", base: ["ref"] },
        { name: "far", pool: "Far", job: { Storage: "Second" } },
      ],
      [{ name: "Small", MaximumVolumeBytes: "1MB" }, { name: "Far" }],
    );
    const reference = [
      dirOp("bin"),
      ...Array.from({ length: 30 }, (_, i) => random(`bin/tool-${i}`, 90_000)),
    ];
    await runTreeOps(scenario.path(), [dirOp("ref"), dirOp("far")]);
    await runTreeOps(scenario.path("ref"), reference);
    await copyTree(scenario.path("ref"), scenario.path("vm"));
    await runTreeOps(scenario.path("vm"), [
      ...[dirOp("etc"), dirOp("etc/deep"), random("etc/conf", 700), random("etc/deep/x", 60)],
      ...Array.from({ length: 12 }, (_, i) => random(`big-${i}`, 250_000)),
      fileOp("caf\xe9 \t1", { kind: "text", size: 5 }),
    ]);
    await runTreeOps(scenario.path("far"), [random("one", 100), random("two", 200)]);
    await scenario.installation.startAll();
    await second.start();
    await scenario.backup("ref", "Base");
    await scenario.backup("vm", "Full");
    await runTreeOps(scenario.path("vm"), [
      { op: "remove", path: "etc/conf" },
      random("etc/conf", 800, "second"),
      { op: "remove", path: "big-3" },
    ]);
    await scenario.backup("vm", "Incremental");
    await scenario.backup("far", "Full");
    session = new ConsoleSession(join(scenario.installation.dir, "console.yaml"));
    await session.waitFor(/Enter a period to cancel a command\.\n/);
  });
  after(async () => {
    await session?.close();
    await second?.stop();
    await scenario?.close();
  });

  /** What one command prints, in a console that stays open. */
  async function ask(command: string): Promise<string> {
    const from = session.output.length;
    const mark = `end-${++asked}`;
    session.send(command, `@echo ${mark}`);
    await session.waitFor(new RegExp(`^${mark}\\b`, "m"), { from, timeoutMs: 120_000 });
    const text = session.output.slice(from);
    const printed = text.slice(
      text.indexOf(`${command}\n`) + command.length + 1,
      text.indexOf(`@echo ${mark}`),
    );
    return printed.replaceAll("You have messages.\n", "");
  }

  /** Lines of fields. */
  async function fields(command: string): Promise<string[][]> {
    const lines = (await ask(command)).split("\n").filter((line) => line !== "");
    return lines.map((line) => line.split("\t"));
  }

  const sql = (statement: string): Promise<string[][]> => fields(`.sql query="${statement}"`);

  test("the check of JobMedia that scripts make finds nothing to say, and there is something to check", async () => {
    const [[rows, jobs, volumes] = []] = await sql(
      "SELECT count(*), count(DISTINCT JobId), count(DISTINCT MediaId) FROM JobMedia JOIN Media USING (MediaId)",
    );
    assert.ok(Number(rows) > 4 && Number(volumes) > 3, `${rows} rows, ${volumes} volumes`);
    assert.equal(jobs, "4");
    for (const [what, statement] of Object.entries(CHECK)) assert.deepEqual(await sql(statement), [], what);
    const spanned = await sql("SELECT count(*), max(LastIndex) FROM JobMedia WHERE JobId=2");
    assert.ok(Number(spanned[0]![0]) > 1);
    assert.deepEqual(
      await sql(
        "SELECT count(*) FROM JobMedia WHERE (EndFile<<32)+EndBlock >= (SELECT VolBytes FROM Media WHERE Media.MediaId=JobMedia.MediaId)",
      ),
      [["0"]],
    );
  });

  test("both daemons' volumes have numbers of their own, as list has them", async () => {
    const media = await sql(
      "SELECT MediaId, VolumeName, Pool.Name FROM Media JOIN Pool USING (PoolId) ORDER BY 1",
    );
    assert.equal(new Set(media.map(([id]) => id)).size, media.length);
    assert.ok(media.some(([, name, pool]) => name === "Far-0001" && pool === "Far"));
    const output = await ask("llist volume=Far-0001");
    const id = /^ +MediaId: (\d+)$/m.exec(output)?.[1];
    assert.ok(
      media.some(([number, name]) => number === id && name === "Far-0001"),
      `${output}\n${media}`,
    );
  });

  test("File, Path, Filename and BaseFiles of the runs that are named", async () => {
    const names = await sql(
      "SELECT Path.Path || Filename.Name, FileIndex FROM File JOIN Path USING (PathId) JOIN Filename USING (FilenameId) " +
        "WHERE JobId=3 ORDER BY FileId",
    );
    assert.deepEqual(names, [
      ["/", "1"],
      ["/big-3", "0"],
      ["/etc/", "2"],
      ["/etc/conf", "3"],
    ]);
    const [[files] = []] = await sql("SELECT count(*) FROM File WHERE JobId=2 AND FileIndex>0");
    assert.deepEqual(await sql("SELECT JobFiles FROM Job WHERE JobId=2"), [[files]]);
    assert.deepEqual(
      await sql(
        "SELECT count(*), count(DISTINCT File.FileId), min(File.JobId) FROM BaseFiles JOIN File USING (FileId) JOIN Filename USING (FilenameId) WHERE BaseFiles.JobId=2 AND Name LIKE 'tool-%'",
      ),
      [["30", "30", "1"]],
    );
    assert.deepEqual(
      await sql(
        "SELECT Job.Name, Client.Name FROM Job JOIN File USING (JobId) JOIN Client USING (ClientId) WHERE Filename='two' AND Job.Name='far'",
      ),
      [["far", "t-fd"]],
    );
    assert.deepEqual(await sql("SELECT Filename FROM File WHERE JobId=2 AND Filename LIKE 'caf%'"), [
      ["caf\\351 \\0111"],
    ]);
  });

  test("the file browser: from the root to a file, its versions, and a restore of what was chosen", async () => {
    const { installation } = scenario;
    const ids = (await fields(".bvfs_get_jobids jobid=3"))[0]![0]!;
    assert.equal(ids, "2,3");
    const [root] = await fields(`.bvfs_lsdirs jobid=${ids} path=`);
    const dirs = await fields(`.bvfs_lsdirs jobid=${ids} pathid=${root![0]}`);
    assert.deepEqual(
      dirs.map((line) => line[5]),
      [".", "..", "bin/", "etc/"],
    );
    const [bin, etc] = [dirs[2]!, dirs[3]!];
    assert.equal(bin[3], "1");
    const files = await fields(`.bvfs_lsfiles jobid=${ids} pathid=${etc[0]}`);
    assert.deepEqual(
      files.map((line) => [line[3], line[5]]),
      [["3", "conf"]],
    );
    const top = await fields(`.bvfs_lsfiles jobid=${ids} path=/ pattern=big-* limit=3 offset=2`);
    assert.deepEqual(
      top.map((line) => line[5]),
      ["big-10", "big-11", "big-2"],
    );
    const versions = await fields(
      `.bvfs_versions jobid=${ids} client=t-fd pathid=${etc[0]} fnid=${files[0]![1]}`,
    );
    assert.deepEqual(
      versions.map((line) => line[3]),
      ["2", "3"],
    );
    assert.deepEqual(versions[1]!.slice(0, 5), files[0]!.slice(0, 5));
    assert.deepEqual(
      await sql(`SELECT JobId, PathId, FilenameId, LStat FROM File WHERE FileId=${files[0]![2]}`),
      [[...["3", etc[0]!, files[0]![1]!, files[0]![4]!]]],
    );

    const where = scenario.path("chosen");
    const odd = (await fields(`.bvfs_lsfiles jobid=${ids} path=/ pattern=caf`))[0]!;
    const reports = await installation.console(
      [
        `.bvfs_restore jobid=${ids} fileid=${odd[2]},${top[0]![2]} dirid=${etc[0]} path=b21`,
        `restore file=?b21 where=${where} yes`,
        `.bvfs_restore jobid=${ids} fileid=${versions[0]![2]} path=b22`,
        `restore file=?b22 where=${where}-old yes`,
        ".bvfs_cleanup path=b21",
        "wait",
        "messages",
        "restore file=?b21 yes",
      ],
      60_000,
    );
    assert.equal(reports.match(/ {2}Termination: +Restore OK\n/g)?.length, 2, reports);
    assert.match(reports, /There is no restore list b21/);
    const restored = await scenario.names(where);
    assert.deepEqual(
      restored.filter((name) => !name.endsWith("/")),
      ["big-10", "caf\xe9 \t1", "etc", "etc/conf", "etc/deep", "etc/deep/x"],
    );
    assert.deepEqual(await compareTrees(join(where, "etc"), scenario.path("vm", "etc")), []);
    assert.deepEqual(await scenario.names(`${where}-old`), ["etc", "etc/conf"]);
    assert.notDeepEqual(await compareTrees(join(`${where}-old`, "etc"), scenario.path("vm", "etc")), []);
  });

  test("a FileId of a list that was rewritten is refused, not taken for another file", async () => {
    const [before] = await sql("SELECT FileId FROM File WHERE JobId=2 AND Filename='big-11'");
    await ask("rebase jobid=2");
    const text = await ask(`.bvfs_restore jobid=2 fileid=${before![0]} path=b23`);
    assert.match(text, /FileId \d+ is not in the list of JobId 2 any more: look again\n/);
    const [again] = await sql("SELECT FileId FROM File WHERE JobId=2 AND Filename='big-11'");
    assert.match(await ask(`.bvfs_restore jobid=2 fileid=${again![0]} path=b23`), /^OK\n/);
  });

  test("sqlquery and query from a pipe; a daemon that is away; nothing is left in the working directory", async () => {
    const { installation } = scenario;
    const output = await installation.console([
      "sql",
      "SELECT JobId,",
      " Name FROM Job WHERE JobId=4;",
      "DELETE FROM Media;",
      "",
      "query 6 2",
      "query",
      "1",
      "far",
    ]);
    assert.match(
      output,
      /\+-------\+------\+\n\| JobId \| Name \|\n\+-------\+------\+\n\| 4 {5}\| far {2}\|\n/,
    );
    assert.match(output, /Query failed: DELETE FROM Media;: ERR=only SELECT/);
    assert.match(output, /End query mode\.\n/);
    assert.match(output, /\| Small-0\d\d\d \| File/);
    assert.match(
      output,
      /Available queries:\n {5}1: Newest runs of a job\n[\s\S]*Choose a query \(1-12\): 1\nJob name: far\n/,
    );
    assert.match(output, /\| 4 {5}\| F {5}\|/);
    await second.stop();
    const away = await installation.console([
      '.sql query="SELECT count(*) FROM Job"',
      ".sql query=\"SELECT count(*) FROM Media WHERE VolumeName LIKE 'Small%'\"",
    ]);
    assert.match(away, /FROM Job"\n6\n/);
    assert.match(away, /Warning: [\s\S]*\n[1-9]\d*\n/);
    const left = readdirSync(join(installation.dir, "var", "director")).filter((name) => /^sql-/.test(name));
    assert.deepEqual(left, []);
  });
});
