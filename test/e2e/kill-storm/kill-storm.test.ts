/**
 * A storage daemon that is killed again and again, at random moments of backups, deletions, rebases, vacuums and
 * truncations. BASALT_SEED repeats the choices (moments differ all the same), BASALT_STORM_SECONDS makes it longer.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ConsoleSession } from "../../helpers/console-session.js";
import { Random } from "../../helpers/random.js";
import { jobLog, jobStatus, queryDatabase, untilStatus } from "../../helpers/running.js";
import { copyTree, pointInTime, Scenario } from "../../helpers/scenario.js";
import { randomFiles, runProgram, runTreeOps } from "../../helpers/tree-ops.js";

const SEED = Number(process.env.BASALT_SEED ?? Date.now() % 1_000_000);
const STORM_MS = Number(process.env.BASALT_STORM_SECONDS ?? 45) * 1000;
const MACHINES = ["one", "two"] as const;
/** Of the commands, so many of ten are hit by a kill. */
const KILLS_OF_TEN = 7;
/** So many commands on a slow machine as well. */
const MIN_COMMANDS = 15;
/** Commands without kills behind the storm, for what no command was spared to do. */
const MAX_CALM_COMMANDS = 30;
/** Of the backups in the storm at least so many of ten end well. */
const WELL_OF_TEN = 2;

/** A backup that the director called OK. */
interface GoodJob {
  jobId: number;
  machine: string;
  /** Copy of what it saw. */
  tree: string;
  /** A moment when it was the newest one. */
  time: string;
  /** Its deletion was asked for: it may be gone. */
  open: boolean;
}

describe("kill storm", () => {
  const random = new Random(SEED);
  const good: GoodJob[] = [];
  let scenario: Scenario;
  /** One that stays: its start would take longer than most commands. */
  let session: ConsoleSession;
  let marks = 0;
  let kills = 0;
  let killsOfTen = KILLS_OF_TEN;
  /** What the storm's commands came to. */
  const done = { started: 0, well: 0, hitAndWell: 0, removed: 0, moved: 0, rebased: 0 };

  before(async () => {
    scenario = await Scenario.create("kill-storm");
    await scenario.define(
      [
        { name: "golden", level: "Base", pool: "Storm" },
        { name: "one", base: ["golden"], pool: "Storm" },
        { name: "two", pool: "Storm" },
      ],
      [{ name: "Storm", MaximumVolumeJobs: 2, Recycle: true, ActionOnPurge: "Truncate", AutoPrune: false }],
    );
    for (const name of ["golden", ...MACHINES]) {
      await mkdir(scenario.path(name));
      await runTreeOps(scenario.path(name), randomFiles(20, 60_000, "all"));
    }
    await scenario.installation.startAll();
    session = new ConsoleSession(join(scenario.installation.dir, "console.yaml"));
  });

  after(async () => {
    await session?.close();
    await scenario?.close();
  });

  async function killAndStart(): Promise<void> {
    // Some commands are done in no time, others wait for a client.
    await sleep(random.below(2) === 0 ? random.below(400) : random.below(2500));
    await scenario.installation.kill("storaged", "SIGKILL");
    await scenario.installation.start("storaged");
    kills++;
  }

  /** What a command printed, once all jobs have ended. */
  async function command(line: string): Promise<string> {
    const from = session.output.length;
    const mark = `end-of-${++marks}`;
    session.send(line, "wait", mark);
    await session.waitFor(new RegExp(`${mark}: is an invalid command`), { from, timeoutMs: 120_000 });
    return session.output.slice(from);
  }

  async function untilAnswering(): Promise<void> {
    for (let tries = 0; /ERR=/.test(await command("status storage=File")); tries++) {
      assert.ok(tries < 200, "the storage daemon did not come back");
      await sleep(100);
    }
  }

  /** Runs a command, with the storage daemon killed meanwhile (`hit`) or not; what it printed. */
  async function storm(line: string): Promise<{ text: string; hit: boolean }> {
    const hit = random.below(10) < killsOfTen;
    // A kill may well meet a daemon that is starting.
    if (!hit) await untilAnswering();
    const [text] = await Promise.all([command(line), hit ? killAndStart() : undefined]);
    return { text, hit };
  }

  async function edit(machine: string): Promise<void> {
    for (let change = 0; change < 4; change++) {
      const content = random.bytes(20_000 + random.below(100_000));
      await writeFile(scenario.path(machine, `edit-${random.below(12)}`), content);
    }
  }

  async function backUp(machine: string, level: string): Promise<void> {
    if (good.length > 0) await edit(machine);
    const { text, hit } = await storm(`run job=${machine} level=${level} yes`);
    const jobId = Number(/^Job queued\. JobId=(\d+)/m.exec(text)?.[1]);
    assert.ok(jobId > 0, text);
    const status = await untilStatus(scenario.installation, jobId, "TWEfA");
    done.started++;
    if (status !== "T" && status !== "W") {
      const log = jobLog(scenario.installation, jobId);
      assert.ok(hit, `JobId ${jobId} failed without a kill:\n${log}`);
      assert.match(log, /[Ss]torage/, "a job failed for another reason");
      return;
    }
    done.well++;
    if (hit) done.hitAndWell++;
    const tree = scenario.path(`tree-${jobId}`);
    await copyTree(scenario.path(machine), tree);
    good.push({ jobId, machine, tree, time: await pointInTime(), open: false });
  }

  /** Has a job deleted; what lies over it is rebased or refuses, and nothing else may go with it. */
  async function gone(
    words: (jobId: number) => string,
  ): Promise<{ gone: boolean; hit: boolean; text: string }> {
    const there = kept();
    const candidates = good.filter(({ jobId }) => there.has(jobId));
    if (candidates.length === 0) return { gone: true, hit: false, text: "" };
    const job = random.pick(candidates);
    job.open = true;
    const { text, hit } = await storm(words(job.jobId));
    const gone = !kept().has(job.jobId);
    if (gone) done.removed++;
    return { gone, hit, text };
  }

  async function remove(): Promise<void> {
    const { gone: removed, hit, text } = await gone((jobId) => `delete jobid=${jobId} rebase yes`);
    assert.ok(removed || hit, `a job was not deleted, without a kill:\n${text}`);
  }

  /** Refused while others lie over the job. */
  async function purge(): Promise<void> {
    await gone((jobId) => `purge jobs jobid=${jobId} yes`);
  }

  async function vacuum(): Promise<void> {
    const before = frames();
    const { text, hit } = await storm("vacuum pool=Storm below=100");
    if (!hit) assert.match(text, / moved\./);
    const after = frames();
    for (const [frame, volume] of before) {
      const now = after.get(frame);
      if (now !== undefined && now !== volume) done.moved++;
    }
  }

  async function rebase(): Promise<void> {
    const { jobId } = random.pick(good);
    const { text } = await storm(`rebase jobid=${jobId}`);
    if (text.includes(" was rebased: ")) done.rebased++;
  }

  const ACTIONS: readonly (() => Promise<unknown>)[] = [
    () => backUp(random.pick(MACHINES), "Full"),
    () => backUp(random.pick(MACHINES), "Incremental"),
    () => backUp(random.pick(MACHINES), "Incremental"),
    () => backUp(random.pick(MACHINES), "Differential"),
    remove,
    purge,
    rebase,
    vacuum,
    () => storm("truncate allpools storage=File"),
  ];

  function ask<T>(sql: string): T[] {
    return queryDatabase<T>(join(scenario.installation.dir, "var", "storaged", "catalog.db"), sql);
  }

  /** JobIds that the storage daemon's catalog holds as good. */
  function kept(): Set<number> {
    const sql = "SELECT job_id FROM job WHERE status IN ('T', 'W')";
    return new Set(ask<{ job_id: number }>(sql).map(({ job_id }) => job_id));
  }

  /** Numbers of frames, with the volumes that they are on. */
  function frames(): Map<number, number> {
    const all = ask<{ id: number; volume: number }>("SELECT id, volume FROM frame");
    return new Map(all.map(({ id, volume }) => [id, volume]));
  }

  /** A command of a kind that had no effect so far. */
  function missing(): (() => Promise<unknown>) | undefined {
    if (done.well < 3) return () => backUp(random.pick(MACHINES), "Incremental");
    if (done.removed === 0) return remove;
    // Of one removal there may be nothing left to move.
    return done.moved === 0 ? random.pick([remove, vacuum, vacuum, () => backUp("two", "Full")]) : undefined;
  }

  test("nothing acknowledged is lost", async (t) => {
    t.diagnostic(`BASALT_SEED=${SEED}`);
    const told = `BASALT_SEED=${SEED}`;
    const { installation } = scenario;
    for (const machine of ["golden", ...MACHINES])
      while (!good.some((job) => job.machine === machine))
        await backUp(machine, machine === "golden" ? "Base" : "Full");
    // Those were needed to begin with.
    Object.assign(done, { started: 0, well: 0, hitAndWell: 0 });
    kills = 0;
    const end = performance.now() + STORM_MS;
    let commands = 0;
    for (; commands < MIN_COMMANDS || performance.now() < end; commands++) await random.pick(ACTIONS)();
    killsOfTen = 0;
    let calm = 0;
    for (let next = missing(); next !== undefined && calm < MAX_CALM_COMMANDS; next = missing()) {
      await next();
      calm++;
    }
    const counts = `${commands} commands and ${calm} calm ones, ${kills} kills: ${JSON.stringify(done)}; ${told}`;
    t.diagnostic(counts);
    assert.ok(kills > 2, `there was no storm: ${counts}`);
    assert.ok(missing() === undefined, `the storm did no work: ${counts}`);
    assert.ok(done.well * 10 >= done.started * WELL_OF_TEN, `most backups failed: ${counts}`);
    await installation.kill("storaged", "SIGKILL");
    await installation.start("storaged");
    await untilAnswering();
    const there = kept();
    for (const { jobId, open } of good)
      assert.ok(open || there.has(jobId), `JobId ${jobId} is gone: ${told}`);
    const left = good.filter(({ jobId }) => there.has(jobId));
    for (const { jobId } of left) assert.match(jobStatus(installation, jobId) ?? "", /[TW]/, told);
    for (const machine of ["golden", ...MACHINES]) {
      const states = left.filter((job) => job.machine === machine);
      const wanted = states.map(({ jobId, tree, time }) => ({
        expected: tree,
        ...(machine === "golden" ? { jobIds: [jobId] } : { before: time }),
      }));
      if (wanted.length > 0) await scenario.restoreEach(machine, wanted);
    }
    // And it goes on.
    await edit("two");
    await scenario.backupAndRestore("two", "Full");
  });

  test("catalog and volumes are clean", async () => {
    const { installation } = scenario;
    await installation.kill("storaged", "SIGTERM");
    await runProgram(scenario.basalt, ["check", "-c", join(installation.dir, "storaged.yaml")]);
    const files = readdirSync(join(installation.dir, "storage")).map((name) => scenario.volume(name));
    assert.ok(files.length > 0 && files.every((file) => existsSync(file)));
    await runProgram(scenario.basalt, ["volume", "verify", ...files]);
  });
});
