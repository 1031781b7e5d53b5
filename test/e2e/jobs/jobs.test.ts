/** What Job directives and commands do to running jobs: stop and restart, reschedule, limits of time and speed. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { appendFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { DAEMONS } from "../../helpers/installation.js";
import { findReport, type JobReport, reportNumber } from "../../helpers/job-report.js";
import {
  endReport,
  jobLog,
  jobStatus,
  startJob,
  startWriting,
  until,
  untilStatus,
  whileStopped,
} from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";

const LIMIT = "300 kb/s";
const FILES = 25;
const FILE_BYTES = 200_000;
/** Directories and files. */
const ENTRIES = FILES + 1;

const nameOf = (index: number): string => `file-${String(index).padStart(2, "0")}`;

describe("jobs", () => {
  let scenario: Scenario;
  let edits = 0;

  before(async () => {
    scenario = await Scenario.create("jobs");
    const root = scenario.path("tree");
    await mkdir(root);
    const file = (_: unknown, index: number) =>
      fileOp(nameOf(index), { kind: "random", size: FILE_BYTES, seed: `${index}` });
    await runTreeOps(root, Array.from({ length: FILES }, file));
    const plain = { name: "plain", Deduplicate: "no" };
    await scenario.define(
      [
        { name: "slow", root, job: { ReadLimit: LIMIT, RescheduleIncompleteJobs: "no" } },
        { name: "plain", root, pool: "plain", job: { ReadLimit: LIMIT, RescheduleIncompleteJobs: "no" } },
        { name: "again", root, job: { ReadLimit: LIMIT, RescheduleInterval: "1 sec", RescheduleTimes: 3 } },
      ],
      [plain],
    );
    const config = join(scenario.installation.dir, "storaged.yaml");
    const text = readFileSync(config, "utf8");
    writeFileSync(config, text.replace(/^Storage:$/m, "Storage:\n  CheckpointInterval: 1 sec"));
    await scenario.installation.startAll();
  });

  after(() => scenario?.close());

  // One that failed must not take the next ones with it.
  beforeEach(async () => {
    for (const daemon of DAEMONS) await scenario.installation.start(daemon).catch(() => undefined);
    await scenario.installation.waitReady();
    // What an earlier backup knows would not be read.
    const edit = (_: unknown, index: number) =>
      ({ op: "rewrite", path: nameOf(index), seed: `${++edits}` }) as const;
    await runTreeOps(scenario.path("tree"), Array.from({ length: FILES }, edit));
  });

  const inTheMiddle = (job: string, volume: string) =>
    startWriting(scenario.installation, job, {
      ...{ volume: scenario.volume(volume), bytes: 900_000, words: "level=Full" },
    });

  /** `stop` in the middle of a job. */
  async function stopped(job: string, volume: string): Promise<{ jobId: number; answer: string }> {
    const { installation } = scenario;
    const jobId = await inTheMiddle(job, volume);
    const answer = await whileStopped(installation, "filed", () =>
      installation.console([`stop jobid=${jobId}`]),
    );
    await endReport(installation, jobId);
    return { jobId, answer };
  }

  /** The reports that a job has had so far, oldest first. */
  function reports(jobId: number): JobReport[] {
    const parts = jobLog(scenario.installation, jobId).split(/(?<=\n {2}Termination: .*\n)/);
    return parts.flatMap((part) => findReport(part, jobId) ?? []);
  }

  /** The job goes on under its number; what it stored before is not read or sent again, and all comes back. */
  async function goesOn(jobId: number, job: string, how = `restart jobid=${jobId}`): Promise<void> {
    const { installation } = scenario;
    const answer = await installation.console([how, "wait", "messages"]);
    assert.match(answer, new RegExp(`^Job queued\\. JobId=${jobId}$`, "m"));
    await untilStatus(installation, jobId, "TWE");
    const log = jobLog(installation, jobId);
    assert.match(log, new RegExp(`Restart Incomplete Backup JobId ${jobId}, Job=${job}\\.`));
    const found = Number(/Found (\d+) files from prior incomplete Job\./.exec(log)?.[1]);
    assert.ok(found > 3 && found < ENTRIES, log);
    const report = reports(jobId).at(-1)!;
    assert.equal(report.termination, "Backup OK", log);
    assert.equal(reportNumber(report, "FD Files Written"), ENTRIES, log);
    assert.equal(reportNumber(report, "SD Files Written"), ENTRIES, log);
    assert.ok(reportNumber(report, "FD Bytes Read") <= (ENTRIES - found + 2) * FILE_BYTES, report.report);
    assert.ok(
      reportNumber(report, "FD Bytes Sent") <= (ENTRIES - found + 2) * FILE_BYTES * 1.01,
      report.report,
    );
    const list = await installation.console([`list jobid=${jobId}`]);
    assert.match(list, new RegExp(`^\\| +${jobId} .*\\| B +\\| F +\\| +${ENTRIES} .*\\| T +\\|$`, "m"));
    await scenario.restoresAs(job, scenario.path("tree"));
  }

  for (const [job, volume] of [
    ["slow", "Vol-0001"],
    ["plain", "plain-0001"],
  ] as const) {
    test(`stop and restart, pool of job ${job}`, async () => {
      const { installation } = scenario;
      const { jobId, answer } = await stopped(job, volume);
      assert.match(answer, new RegExp(`^2001 Job "${job}\\.\\S+" marked to be stopped\\.$`, "m"));
      const report = await endReport(installation, jobId);
      assert.equal(report.termination, "Backup failed -- Incomplete", report.report);
      assert.equal(jobStatus(installation, jobId), "I");
      await goesOn(jobId, job);
    });
  }

  test("restart asks for the kind of end and the numbers", async () => {
    const { installation } = scenario;
    const { jobId } = await stopped("slow", "Vol-0001");
    const listed = await installation.console(["resume", "1", String(jobId), "wait", "messages"]);
    assert.match(listed, /^ {5}1: Incomplete\n {5}2: Canceled\n {5}3: Failed\n {5}4: All$/m);
    assert.match(listed, /Enter the JobId list to select: /);
    assert.match(listed, new RegExp(`^Job queued\\. JobId=${jobId}$`, "m"));
    assert.equal(await untilStatus(installation, jobId, "TWE"), "T");
    const done = await installation.console([`restart jobid=${jobId}`]);
    assert.match(done, /has ended well: there is nothing to restart\./);
  });

  test("hangup after so many files", async () => {
    const { installation } = scenario;
    await installation.console(["setdebug level=1 hangup=10 client"]);
    const jobId = await startJob(installation, "slow", "level=Full");
    await untilStatus(installation, jobId, "TWEI");
    const log = jobLog(installation, jobId);
    assert.match(log, /Debug hangup requested after 10 files\./);
    assert.equal(reports(jobId)[0]?.termination, "Backup failed -- Incomplete", log);
    await goesOn(jobId, "slow");
    assert.match(jobLog(installation, jobId), /Found 10 files from prior incomplete Job\./);
  });

  test("hangup after kilobytes, and by itself again after the interval", async () => {
    const { installation } = scenario;
    await installation.console(["setdebug level=1 hangup=-2000 client=t-fd"]);
    const jobId = await startJob(installation, "again", "level=Full");
    await until("the job to end", () => jobLog(installation, jobId).includes("Backup OK"));
    const log = jobLog(installation, jobId);
    assert.match(log, /Debug hangup requested after 2000 Kbytes\./);
    assert.match(log, /Rescheduled Job again\.\S+ at \S+ \S+ to re-run in 1 seconds \(.*\)\./);
    assert.match(log, /Found \d+ files from prior incomplete Job\./);
    await scenario.restoresAs("again", scenario.path("tree"));
  });

  for (const [daemon, signal] of [
    ["filed", "SIGKILL"],
    ["filed", "SIGTERM"],
    ["storaged", "SIGTERM"],
    ["storaged", "SIGKILL"],
    ["director", "SIGTERM"],
    ["director", "SIGKILL"],
  ] as const) {
    test(`${signal} of ${daemon} leaves a job that goes on`, async () => {
      const { installation } = scenario;
      const jobId = await inTheMiddle("slow", "Vol-0001");
      // Marks come every two seconds, checkpoints every one: there are both by then.
      await sleep(2500);
      await installation.kill(daemon, signal);
      await installation.start(daemon);
      await installation.waitReady();
      await untilStatus(installation, jobId, "I");
      if (daemon !== "filed" && signal === "SIGKILL")
        await until("what was kept is told", () =>
          /has kept \d+ files of JobId/.test(jobLog(installation, jobId)),
        );
      await goesOn(jobId, "slow");
    });
  }

  test("an edit between the two is seen", async () => {
    const { installation } = scenario;
    const { jobId } = await stopped("slow", "Vol-0001");
    await appendFile(scenario.path("tree", "file-00"), "edited");
    await installation.console([`restart jobid=${jobId}`, "wait"]);
    assert.equal(await untilStatus(installation, jobId, "TWE"), "T");
    await scenario.restoresAs("slow", scenario.path("tree"));
  });
});
