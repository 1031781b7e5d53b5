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
import { Random } from "../../helpers/random.js";
import { jobLog, jobStatus, queryDatabase, untilStatus } from "../../helpers/running.js";
import { copyTree, pointInTime, Scenario } from "../../helpers/scenario.js";
import { fileOp, runProgram, runTreeOps } from "../../helpers/tree-ops.js";

const SEED = Number(process.env.BASALT_SEED ?? Date.now() % 1_000_000);
const STORM_MS = Number(process.env.BASALT_STORM_SECONDS ?? 45) * 1000;
const MACHINES = ["one", "two"] as const;
/** Of the commands, so many of ten are hit by a kill. */
const KILLS_OF_TEN = 7;

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
  let kills = 0;

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
      const file = (_: unknown, index: number) =>
        fileOp(`file-${index}`, { kind: "random", size: 60_000, seed: `all ${index}` });
      await runTreeOps(scenario.path(name), Array.from({ length: 20 }, file));
    }
    await scenario.installation.startAll();
  });

  after(() => scenario?.close());

  async function killAndStart(): Promise<void> {
    // A console needs most of the first second to come up.
    await sleep(300 + random.below(2200));
    await scenario.installation.kill("storaged", "SIGKILL");
    await scenario.installation.start("storaged");
    kills++;
  }

  /** Runs commands, with the storage daemon killed meanwhile or not; what they printed. */
  async function storm(...lines: string[]): Promise<string> {
    const killed = random.below(10) < KILLS_OF_TEN ? killAndStart() : Promise.resolve();
    const [text] = await Promise.all([scenario.installation.console([...lines, "wait"], 120_000), killed]);
    return text;
  }

  async function edit(machine: string): Promise<void> {
    for (let change = 0; change < 4; change++) {
      const content = random.bytes(20_000 + random.below(100_000));
      await writeFile(scenario.path(machine, `edit-${random.below(12)}`), content);
    }
  }

  async function backUp(machine: string, level: string): Promise<void> {
    if (good.length > 0) await edit(machine);
    const text = await storm(`run job=${machine} level=${level} yes`);
    const jobId = Number(/^Job queued\. JobId=(\d+)/m.exec(text)?.[1]);
    assert.ok(jobId > 0, text);
    const status = await untilStatus(scenario.installation, jobId, "TWEfA");
    if (status !== "T" && status !== "W") {
      assert.match(jobLog(scenario.installation, jobId), /[Ss]torage/, "a job failed for another reason");
      return;
    }
    const tree = scenario.path(`tree-${jobId}`);
    await copyTree(scenario.path(machine), tree);
    good.push({ jobId, machine, tree, time: await pointInTime(), open: false });
  }

  async function remove(words: (jobId: number) => string, rebase: boolean): Promise<void> {
    const job = random.pick(good);
    // What lies over it is rebased or refuses; nothing else may go with it.
    job.open = true;
    await storm(`${words(job.jobId)}${rebase ? " rebase" : ""} yes`);
  }

  const ACTIONS: readonly (() => Promise<unknown>)[] = [
    () => backUp(random.pick(MACHINES), "Full"),
    () => backUp(random.pick(MACHINES), "Incremental"),
    () => backUp(random.pick(MACHINES), "Incremental"),
    () => backUp(random.pick(MACHINES), "Differential"),
    () => remove((jobId) => `delete jobid=${jobId}`, true),
    () => remove((jobId) => `purge jobs jobid=${jobId}`, false),
    () => storm(`rebase jobid=${random.pick(good).jobId}`),
    () => storm("vacuum pool=Storm below=100"),
    () => storm("truncate allpools storage=File"),
  ];

  /** JobIds that the storage daemon's catalog holds as good. */
  const kept = (): Set<number> => {
    const catalog = join(scenario.installation.dir, "var", "storaged", "catalog.db");
    const sql = "SELECT job_id FROM job WHERE status IN ('T', 'W')";
    return new Set(queryDatabase<{ job_id: number }>(catalog, sql).map(({ job_id }) => job_id));
  };

  test("nothing acknowledged is lost", async (t) => {
    t.diagnostic(`BASALT_SEED=${SEED}`);
    const told = `BASALT_SEED=${SEED}`;
    const { installation } = scenario;
    for (const machine of ["golden", ...MACHINES])
      while (!good.some((job) => job.machine === machine))
        await backUp(machine, machine === "golden" ? "Base" : "Full");
    const end = performance.now() + STORM_MS;
    let commands = 0;
    for (; performance.now() < end; commands++) await random.pick(ACTIONS)();
    t.diagnostic(`${commands} commands, ${kills} kills, ${good.length} good jobs`);
    assert.ok(kills > 2, "there was no storm");
    await installation.kill("storaged", "SIGKILL");
    await installation.start("storaged");
    await installation.waitReady();
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
