/** Directives of jobs that daemons have to carry out together: bootstrap files, bandwidth, time limits, RunScripts. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { endReport, jobLog, startJob, startWriting, until, untilStatus } from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { randomFiles, runTreeOps } from "../../helpers/tree-ops.js";

const FILES = 10;

describe("directives of jobs", () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.create("directives", { keepConsole: true });
    for (const [name, size] of [
      ["tree", 20_000],
      ["large", 300_000],
    ] as const) {
      await mkdir(scenario.path(name));
      await runTreeOps(scenario.path(name), randomFiles(FILES, size, name));
    }
    const root = scenario.path("tree");
    const large = scenario.path("large");
    const RunScript = [
      { Console: "list jobid=%i", RunsWhen: "After", RunsOnSuccess: true },
      { Console: "wait", RunsWhen: "Before", FailJobOnError: false },
    ];
    await scenario.define(
      [
        {
          name: "small",
          root,
          pool: "own",
          job: { WriteBootstrap: scenario.path("%n.bsr"), SpoolData: "yes" },
        },
        { name: "narrow", root: large, job: { MaximumBandwidth: "20 kb/s" } },
        { name: "long", root: large, job: { ReadLimit: "100 kb/s", MaxRunTime: "2 secs" } },
        { name: "scripted", root, job: { RunScript } },
      ],
      [{ name: "own" }],
    );
    await scenario.installation.startAll();
  });

  after(() => scenario?.close());

  test("WriteBootstrap, and restores by such a file and by one with a Volume alone", async () => {
    const { installation } = scenario;
    const report = await scenario.backup("small", "Full");
    const text = readFileSync(scenario.path("small.bsr"), "utf8");
    assert.match(text, /^Volume="own-0001"\nMediaType="File"$/m);
    assert.match(
      text,
      new RegExp(
        `^JobId=${report.jobId}\nVolAddr=\\d+-\\d+\nFileIndex=1-${FILES + 1}\nCount=${FILES + 1}$`,
        "m",
      ),
    );
    assert.match(report.report, /Spooling data \.\.\./);
    assert.match(
      report.report,
      /Committing spooled data to Volume "own-0001"\. Despooling [\d,]+ bytes \.\.\./,
    );
    await writeFile(scenario.path("hand.bsr"), '# by hand\nVolume="own-0001"\n');
    for (const name of ["small.bsr", "hand.bsr"]) {
      const where = scenario.path(`restored-${name}`);
      const [restored] = await installation.runAll([
        `restore bootstrap=${scenario.path(name)} where=${where} yes`,
      ]);
      assert.equal(restored?.termination, "Restore OK", restored?.report);
      assert.deepEqual(await scenario.names(where), await scenario.names(scenario.path("tree")));
    }
    const answer = await installation.console([`restore bootstrap=${scenario.path("hand.bsr")}`, "no"]);
    assert.match(answer, new RegExp(`^Bootstrap: {7}${scenario.path("hand.bsr")}$`, "m"));
    const missing = await installation.console([`restore bootstrap=${scenario.path("none.bsr")} yes`]);
    assert.match(missing, /^Cannot open bootstrap file .*none\.bsr/m);
  });

  test("a restore leaves its bootstrap file until its job has ended, and that file restores the same", async () => {
    const { installation } = scenario;
    const copy = scenario.path("copy.bsr");
    const answer = await installation.console([
      `restore where=${scenario.path("marked")} client=t-fd fileset=small select`,
      ...["mark file-3", "mark file-4", "done"],
      `@exec "sh -c 'cp ${installation.dir}/var/director/t-dir.restore.*.bsr ${copy}'"`,
      ...["yes", "wait", "messages"],
    ]);
    const file = /^Bootstrap records written to (\S+)$/m.exec(answer)?.[1];
    assert.ok(file !== undefined, answer);
    assert.equal(existsSync(file), false);
    assert.match(readFileSync(copy, "utf8"), /^FileIndex=1\nFileIndex=5-6\nCount=3$/m);
    const where = scenario.path("again");
    const [restored] = await installation.runAll([`restore bootstrap=${copy} where=${where} yes`]);
    assert.equal(restored?.termination, "Restore OK", restored?.report);
    assert.deepEqual(await scenario.names(where), await scenario.names(scenario.path("marked")));
    assert.deepEqual(await scenario.names(where), ["file-3", "file-4"]);
  });

  test("MaximumBandwidth holds a job back until setbandwidth lets it go", async () => {
    const { installation } = scenario;
    const jobId = await startWriting(installation, "narrow", {
      ...{ volume: scenario.volume("Vol-0001"), bytes: 1000, words: "level=Full" },
    });
    const answer = await installation.console([`setbandwidth limit=3MB/s jobid=${jobId}`]);
    assert.match(answer, /^2000 OK Limiting bandwidth to 3\.000 MB\/s on running job narrow\.\S+$/m);
    // At 20 kB/s it would run for minutes.
    assert.equal(await untilStatus(installation, jobId, "TWEAI"), "T");
    const all = await installation.console(["setbandwidth limit=3MB/s client=t-fd"]);
    assert.match(all, /^2000 OK Limiting bandwidth to 3\.000 MB\/s on running and future jobs$/m);
    await installation.console(["setbandwidth limit=0 client=t-fd"]);
    await scenario.restoresAs("narrow", scenario.path("large"));
  });

  test("MaxRunTime ends a job", async () => {
    const { installation } = scenario;
    const jobId = await startJob(installation, "long", "level=Full");
    const report = await endReport(installation, jobId);
    assert.equal(report.termination, "Backup Canceled", report.report);
    assert.match(report.report, /Fatal error: Max run time exceeded\. Job canceled\./);
  });

  test("RunScripts with commands of the console", async () => {
    const { installation } = scenario;
    const jobId = await startJob(installation, "scripted", "level=Full");
    await untilStatus(installation, jobId, "TWE");
    const log = await until("the script's lines", () => {
      const text = jobLog(installation, jobId);
      return text.includes("AfterJob: |") && text;
    });
    assert.match(log, new RegExp(`console command: run AfterJob "list jobid=${jobId}"`));
    assert.match(log, new RegExp(`AfterJob: \\| ${jobId} +\\| scripted`));
    assert.match(log, /Runscript: BeforeJob could not be run\. ERR="wait" is not allowed in a RunScript/);
  });
});
