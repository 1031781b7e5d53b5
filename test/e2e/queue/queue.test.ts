/** Who may run when: limits, priorities, start times, time limits, schedules. */
import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { ConsoleSession } from "../../helpers/console-session.js";
import {
  endReport,
  jobLog,
  jobStatus,
  queryDatabase,
  startJob,
  until,
  untilStatus,
  writeScript,
} from "../../helpers/running.js";
import { type Machine, Scenario } from "../../helpers/scenario.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";

const CLOCK_DIRECTOR = fileURLToPath(new URL("./clock-director.js", import.meta.url));
const MINUTE_MS = 60_000;

describe("queue", () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.create("queue", { keepConsole: true });
    const { installation } = scenario;
    // Jobs stop in here until their gate is open, so that "running" lasts as long as a test needs it.
    await writeScript(scenario.path("gate"), [
      `while [ ! -e ${scenario.path("open")}/$1 ] && [ ! -e ${scenario.path("open")}/all ]; do sleep 0.1; done`,
    ]);
    await mkdir(scenario.path("tree"));
    await runTreeOps(scenario.path("tree"), [fileOp("file", { kind: "text", size: 500 })]);
    await installation.writeResources("narrow", {
      Client: [{ Name: "narrow", Address: "127.0.0.1", Port: 1, MaximumConcurrentJobs: 1 }],
      Storage: [
        {
          Name: "One",
          Address: "127.0.0.1",
          Port: installation.portBase + 2,
          Device: "FileStorage",
          MediaType: "File",
          MaximumConcurrentJobs: 1,
        },
      ],
    });
    const jobs: Record<string, Record<string, unknown>> = {
      first: {},
      second: {},
      third: {},
      urgent: { Priority: 5 },
      later: { Priority: 20 },
      "narrow-1": { Client: "narrow" },
      "narrow-2": { Client: "narrow" },
      "one-1": { Storage: "One" },
      "one-2": { Storage: "One" },
      limited: { MaxRunTime: "2 seconds" },
    };
    const gated = (name: string, job: Record<string, unknown>): Machine => ({
      name,
      root: scenario.path("tree"),
      job: { RunBeforeJob: `${scenario.path("gate")} %n`, ...job },
    });
    await scenario.define(Object.entries(jobs).map(([name, job]) => gated(name, job)));
    await installation.startAll();
  });
  after(() => scenario?.close());

  beforeEach(async () => {
    await rm(scenario.path("open"), { recursive: true, force: true });
    await mkdir(scenario.path("open"));
  });

  const open = (gate: string): Promise<void> => writeFile(scenario.path("open", gate), "");
  const start = (job: string, words = "level=Full"): Promise<number> =>
    startJob(scenario.installation, job, words);
  const status = (): Promise<string> => scenario.installation.console(["status dir"]);

  /** Opens every gate and waits until nothing runs any more. */
  async function finish(): Promise<void> {
    await open("all");
    await scenario.installation.console(["wait"]);
  }

  /** Waits until `status dir` says this of a job. */
  const says = (jobId: number, words: string): Promise<string> =>
    until(`JobId ${jobId} ${words}`, async () => {
      const text = await status();
      return new RegExp(`^ +${jobId} .*${words}`, "m").test(text) && text;
    });

  const ended = (jobId: number): number => {
    const file = join(scenario.installation.dir, "var", "director", "director.db");
    const sql = "SELECT start_ms AS ms FROM job WHERE job_id = ?";
    return queryDatabase<{ ms: number }>(file, sql, jobId)[0]?.ms ?? 0;
  };

  test("one run of a job at a time, one job of a client, one of a storage", async () => {
    const pairs = [
      ["first", "first", "is waiting on max Job jobs"],
      ["narrow-1", "narrow-2", "is waiting on max Client jobs"],
      ["one-1", "one-2", "is waiting on max Storage jobs"],
    ] as const;
    const ids: number[] = [];
    for (const [runs, waits, words] of pairs) {
      ids.push(await start(runs), await start(waits));
      await says(ids.at(-2)!, "is running");
      await says(ids.at(-1)!, words);
    }
    const narrow = ids.slice(2, 4);
    // There is no such client: what counts is who had to wait.
    await scenario.installation.console(narrow.map((jobId) => `cancel jobid=${jobId} yes`));
    await finish();
    assert.deepEqual(
      ids.map((jobId) => jobStatus(scenario.installation, jobId)),
      ["T", "T", "A", "A", "T", "T"],
    );
  });

  test("the director's limit, and a waiting job that is canceled", async () => {
    const { installation } = scenario;
    const limit = (from: number, to: number): Promise<void> =>
      installation.editConfig("director", (text) =>
        text.replace(
          `MaximumConcurrentJobs: ${from}\n  Messages`,
          `MaximumConcurrentJobs: ${to}\n  Messages`,
        ),
      );
    await limit(20, 2);
    await installation.console(["reload"]);
    const [first, second, third] = [await start("first"), await start("second"), await start("third")];
    await says(third, "is waiting on max total jobs");
    const answer = await installation.console([`cancel jobid=${third} yes`]);
    assert.match(answer, new RegExp(`^JobId ${third}, Job third\\.\\S+ marked to be canceled\\.$`, "m"));
    await untilStatus(installation, third, "A");
    assert.equal((await endReport(installation, third)).termination, "Backup Canceled");
    await finish();
    assert.deepEqual(
      [first, second].map((jobId) => jobStatus(installation, jobId)),
      ["T", "T"],
    );
    await limit(2, 20);
    await installation.console(["reload"]);
  });

  test("jobs of other priorities wait; the smaller number is next", async () => {
    const first = await start("first");
    const later = await start("later");
    const urgent = await start("urgent");
    await says(later, "is waiting for higher priority jobs to finish");
    await says(urgent, "is waiting for higher priority jobs to finish");
    await finish();
    assert.deepEqual(
      [first, later, urgent].map((jobId) => jobStatus(scenario.installation, jobId)),
      ["T", "T", "T"],
    );
    assert.ok(ended(urgent) < ended(later), "the urgent one was first");
  });

  test("a job for later waits for its time", async () => {
    await open("all");
    // A console that is there already: starting one may take longer than the job has to wait.
    const session = new ConsoleSession(join(scenario.installation.dir, "console.yaml"));
    await session.waitFor(/Enter a period to cancel a command\.\n/);
    const two = (value: number): string => String(value).padStart(2, "0");
    const at = new Date(Date.now() + 15_000);
    const when = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    session.send(`run job=first level=Full when="${when}" yes`, "status dir", "time");
    const jobId = Number((await session.waitFor(/^Job queued\. JobId=(\d+)/m))[1]);
    await session.waitFor(new RegExp(`^ +${jobId} .*is waiting for its start time \\(${when}\\)`, "m"));
    await session.close();
    await untilStatus(scenario.installation, jobId, "T");
    assert.ok(ended(jobId) >= Math.floor(at.getTime() / 1000) * 1000);
  });

  test("a job that runs too long is canceled", async () => {
    const jobId = await start("limited");
    await untilStatus(scenario.installation, jobId, "A");
    const { termination, report } = await endReport(scenario.installation, jobId);
    assert.equal(termination, "Backup Canceled", report);
    assert.match(report, /Fatal error: Max run time exceeded\. Job canceled\./);
  });

  test("schedules: by the clock, and what was missed while the director was down", async () => {
    const { installation } = scenario;
    await installation.kill("director", "SIGTERM");
    const database = join(installation.dir, "var", "director", "director.db");
    await installation.writeResources("schedules", {
      Schedule: [
        { Name: "Minutely", Cron: [{ At: "* * * * *", Level: "Differential" }] },
        {
          Name: "Nightly",
          Cron: [
            { At: "*/10 * * * *", Level: "Incremental" },
            { At: "7 * * * *", Level: "Full" },
          ],
        },
      ],
    });
    const scheduled = (name: string, job: Record<string, unknown>): Machine => ({
      name,
      root: scenario.path("tree"),
      job,
    });
    await scenario.define([
      scheduled("by-clock", { Schedule: "Minutely" }),
      scheduled("made-up", { Schedule: "Nightly", RerunMissed: true }),
      scheduled("given-up", { Schedule: "Nightly" }),
    ]);
    const db = new Database(database);
    const past = Date.now() - 3 * 60 * MINUTE_MS;
    db.prepare("UPDATE counter SET value = ? WHERE name = 'scheduled_to_ms'").run(past);
    db.close();
    // Four seconds before a full minute, and not near one of the other schedule: a slow start takes the minute after.
    const minute = Math.ceil(Date.now() / MINUTE_MS) + 1;
    const isCalm = (each: number): boolean =>
      [0, 1, 2].every((more) => (each + more) % 10 !== 0 && (each + more) % 60 !== 7);
    const calm = Array.from({ length: 20 }, (_, more) => minute + more).find(isCalm)!;
    const ahead = calm * MINUTE_MS - 4000 - Date.now();
    await installation.start("director", [process.execPath, CLOCK_DIRECTOR, String(ahead)]);
    await installation.waitReady();
    const runs = (name: string): { job_id: number; level: string; status: string; sched_ms: number }[] =>
      queryDatabase(database, "SELECT job_id, level, status, sched_ms FROM job WHERE name = ?", name);
    const made = await until("the missed run", () => runs("made-up").find(({ status }) => status === "T"));
    assert.equal(made.level, "F");
    const clocked = await until(
      "the scheduled run",
      () => runs("by-clock").find(({ status }) => status === "T"),
      2 * MINUTE_MS,
    );
    assert.equal(clocked.sched_ms % MINUTE_MS, 0);
    assert.match(
      jobLog(installation, clocked.job_id),
      /No prior or suitable Full backup found in catalog\. Doing FULL backup\./,
    );
    assert.match(
      await installation.console(["messages"]),
      /Job made-up missed \d+ runs while the director was down; running what was due at \S+ \S+:07:00 now\./,
    );
    assert.equal(runs("made-up").length, 1);
    assert.deepEqual(runs("given-up"), []);
  });
});
