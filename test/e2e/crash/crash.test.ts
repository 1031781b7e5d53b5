/** Daemons that die or are stopped in the middle of a job, and jobs that are canceled there. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { DAEMONS, type Daemon } from "../../helpers/installation.js";
import {
  endReport,
  jobLog,
  jobStatus,
  queryDatabase,
  sizeOf,
  startWriting,
  until,
  untilStatus,
  writeScript,
} from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { randomFiles, runProgram, runTreeOps } from "../../helpers/tree-ops.js";

/** So slow that it is in the middle of its work whenever a test looks. */
const SLOW_BYTES = 12_000_000;
const SLOW_LIMIT = "1 mb/s";

describe("crash", () => {
  let scenario: Scenario;
  let edits = 0;

  before(async () => {
    scenario = await Scenario.create("crash", { keepConsole: true });
    const { installation } = scenario;
    const done = await writeScript(scenario.path("director-hook"), ['echo "$1 $2 $3" >> "$4"']);
    await writeScript(join(installation.dir, "hooks", "outcome"), [
      `echo "$BASALT_JOB_ID $BASALT_JOB_OUTCOME" >> ${scenario.path("outcomes")}`,
    ]);
    const told = scenario.path("told");
    await scenario.define([
      { name: "machine" },
      {
        name: "slow",
        job: {
          ReadLimit: SLOW_LIMIT,
          AllowIncompleteJobs: "no",
          ClientRunAfterJob: "outcome",
          RunAfterJob: `${done} %i ok %e ${told}`,
          RunAfterFailedJob: `${done} %i failed %e ${told}`,
        },
      },
    ]);
    for (const [name, size] of [
      ["machine", 20_000],
      ["slow", SLOW_BYTES / 20],
    ] as const) {
      await mkdir(scenario.path(name));
      await runTreeOps(scenario.path(name), randomFiles(20, size, name));
    }
    await installation.startAll();
    await scenario.backup("machine", "Full");
  });

  after(() => scenario?.close());

  // One that failed must not take the next ones with it.
  beforeEach(async () => {
    for (const daemon of DAEMONS) await scenario.installation.start(daemon).catch(() => undefined);
  });

  const volume = (): string => scenario.volume("Vol-0001");
  const inTheMiddle = (): Promise<number> =>
    startWriting(scenario.installation, "slow", { volume: volume(), bytes: 500_000, words: "level=Full" });
  const lines = (file: string): string[] =>
    existsSync(scenario.path(file)) ? readFileSync(scenario.path(file), "utf8").trim().split("\n") : [];

  /** The outcome that filed's After hook of a job saw; waits for it. */
  const outcome = (jobId: number): Promise<string> =>
    until(`the After hook of JobId ${jobId}`, () =>
      lines("outcomes")
        .find((line) => line.startsWith(`${jobId} `))
        ?.slice(`${jobId} `.length),
    );

  /** A job that failed has left nothing behind; what was there before is whole; new jobs run. */
  async function allIsWell(jobId: number, letters: string): Promise<void> {
    const { installation } = scenario;
    assert.match(jobStatus(installation, jobId) ?? "", new RegExp(`^[${letters}]$`));
    const listed = await installation.console([`list jobid=${jobId}`]);
    const row = new RegExp(`^\\| +${jobId} +\\| slow .*\\| [${letters}] +\\|$`, "m");
    assert.match(listed, row);
    await untilClean();
    await appendFile(scenario.path("machine", "file-0"), `edit ${++edits}`);
    await scenario.backup("machine", "Incremental");
    await scenario.restoresAs("machine", scenario.path("machine"));
  }

  /** Waits until nothing of any failed job is left in the catalog, and the volume is as long as the catalog says. */
  async function untilClean(): Promise<void> {
    const catalog = join(scenario.installation.dir, "var", "storaged", "catalog.db");
    const left = (table: string): number =>
      queryDatabase<{ n: number }>(
        catalog,
        `SELECT count(*) AS n FROM ${table} WHERE abs(job) NOT IN (SELECT id FROM job WHERE status IN ('T', 'W'))`,
      )[0]?.n ?? 0;
    const tables = ["list_block", "state_block", "frame", "chunk", "content", "pin"];
    await until("the catalog holds nothing of failed jobs", () => tables.every((table) => left(table) === 0));
    await until(
      "no job is dirty",
      () => queryDatabase(catalog, "SELECT 1 FROM job WHERE dirty").length === 0,
    );
    const sizes = queryDatabase<{ bytes: number }>(catalog, "SELECT bytes FROM volume");
    assert.deepEqual(
      sizes.map(({ bytes }) => bytes),
      [sizeOf(volume())],
    );
  }

  for (const daemon of ["filed", "storaged"] as Daemon[]) {
    test(`kill -9 of ${daemon}`, async () => {
      const { installation } = scenario;
      const whole = sizeOf(volume());
      const jobId = await inTheMiddle();
      await installation.kill(daemon, "SIGKILL");
      await untilStatus(installation, jobId, "EfA");
      const report = await endReport(installation, jobId);
      assert.equal(report.termination, "*** Backup Error ***", report.report);
      assert.match(report.report, daemon === "filed" ? /Client t-fd/ : /[Ss]torage/, report.report);
      if (daemon === "storaged") assert.match(await outcome(jobId), /^(failed|canceled)$/);
      assert.ok(lines("told").includes(`${jobId} failed Error`), lines("told").join("\n"));
      await installation.start(daemon);
      await until("the volume's tail is cut", () => sizeOf(volume()) === whole);
      await allIsWell(jobId, "E");
    });
  }

  test("kill -9 of the director", async () => {
    const { installation } = scenario;
    const jobId = await inTheMiddle();
    await installation.kill("director", "SIGKILL");
    assert.equal(await outcome(jobId), "failed");
    await installation.start("director");
    await installation.waitReady();
    assert.equal(jobStatus(installation, jobId), "f");
    assert.match(jobLog(installation, jobId), /The director ended while Job slow\..* was running/);
    await until("the director's After hook", () =>
      lines("told").some((line) => line.startsWith(`${jobId} failed`)),
    );
    await allIsWell(jobId, "f");
  });

  for (const daemon of ["filed", "storaged", "director"] as Daemon[]) {
    test(`SIGTERM of ${daemon} marks the job with the reason`, async () => {
      const { installation } = scenario;
      const jobId = await inTheMiddle();
      assert.equal(await installation.kill(daemon, "SIGTERM"), 0, installation.log(daemon));
      if (daemon === "director") {
        assert.equal(jobStatus(installation, jobId), "A");
        assert.match(jobLog(installation, jobId), /The director was stopped/);
      } else {
        await untilStatus(installation, jobId, "EfA");
        const words = daemon === "filed" ? /the file daemon was stopped/ : /the storage daemon was stopped/;
        assert.match(jobLog(installation, jobId), words);
      }
      const seen = { filed: /^failed$/, storaged: /^(failed|canceled)$/, director: /^canceled$/ }[daemon];
      assert.match(await outcome(jobId), seen);
      await installation.start(daemon);
      await installation.waitReady();
      await allIsWell(jobId, daemon === "director" ? "A" : "EA");
    });
  }

  test("a canceled job", async () => {
    const { installation } = scenario;
    const jobId = await inTheMiddle();
    const answer = await installation.console([`cancel jobid=${jobId} yes`, "wait"]);
    assert.match(answer, /^2001 Job "slow\.\S+" marked to be canceled\.$/m);
    assert.match(answer, new RegExp(`^3000 JobId=${jobId} Job="slow\\.\\S+" marked to be canceled\\.$`, "m"));
    const report = await endReport(installation, jobId);
    assert.equal(report.termination, "Backup Canceled", report.report);
    assert.equal(await outcome(jobId), "canceled");
    assert.ok(lines("told").includes(`${jobId} failed Canceled`), lines("told").join("\n"));
    await allIsWell(jobId, "A");
  });

  test("after all that the job itself runs through", async () => {
    await scenario.redefine([{ name: "slow" }]);
    await scenario.backup("slow", "Full");
    await scenario.restoresAs("slow", scenario.path("slow"));
    await runProgram(scenario.basalt, ["volume", "verify", volume()]);
  });
});
