/** Deaths in the middle of a hypervisor's night: what jobs become, what is removed at the next start, and the next jobs. */
import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { noise } from "../helpers/random.js";
import { jobLog, jobStatus, startJob, until } from "../helpers/running.js";
import { Night } from "./night.js";
import { PATIENCE_MS, sameDisks, sameFiles } from "./night-checks.js";
import { hasUml, joinTestNetwork } from "./uml.js";

const MIB = 1024 * 1024;
const SNAPSHOTS = ["snap_vm_db-disk1", "snap_vm_db-disk2", "snap_vm_web-disk1", "snap_vm_web-disk2"];

describe("kills in the night of a hypervisor", () => {
  let night: Night | undefined;

  before(async (t) => {
    if (!hasUml(t as TestContext)) return;
    await joinTestNetwork();
    const files = Object.fromEntries(
      Array.from({ length: 8 }, (_, n) => [
        `${n % 2 ? "srv" : "usr"}/file-${n}`,
        noise(MIB, `file ${n}`).toString("hex"),
      ]),
    );
    // Half a minute each, whatever the machine's speed.
    const later = { RescheduleIncompleteJobs: "no" };
    const job = { web: { ReadLimit: "500 kb/s", ...later }, db: { ReadLimit: "2 mb/s", ...later } };
    // A digest among the letters: files that earlier runs vouch for are read all the same.
    const options = { Accurate: "pugm5" };
    night = await Night.create({ files, blocks: noise(12 * MIB, "db"), job, options });
    await night.startGuests();
    await night.startFiled();
    await night.installation.start("director");
    await night.installation.waitReady();
  });

  after(() => night?.close());

  /** Both jobs, in the middle. */
  async function started(): Promise<number[]> {
    const { installation } = night!;
    const jobs = [
      await startJob(installation, "web", "level=Full"),
      await startJob(installation, "db", "level=Full"),
    ];
    const reads = (): boolean =>
      jobs.every((jobId) => {
        const log = jobLog(installation, jobId);
        assert.match(jobStatus(installation, jobId) ?? "C", /[CR]/, log);
        return /Using Device /.test(log);
      });
    await until("the reading of both machines", reads, PATIENCE_MS);
    const remains = await night!.remains();
    for (const each of [...SNAPSHOTS, "/run/basalt/mnt/web", "/run/basalt/mnt/web/srv"])
      assert.ok(remains.includes(each), `${each} is not there: ${remains}`);
    return jobs;
  }

  /** What they have become; then nothing is left, the next jobs are good, and what they hold comes back. */
  async function recovered(jobs: readonly number[]): Promise<void> {
    const { installation } = night!;
    for (const jobId of jobs) {
      const status = await until(
        "the end",
        () => /[^CR]/.exec(jobStatus(installation, jobId) ?? "C")?.[0],
        PATIENCE_MS,
      );
      // Incomplete when some files are whole already, else there is nothing to go on with.
      assert.match(status, /[IEf]/, jobLog(installation, jobId));
    }
    await until(
      "the removal of all that was left",
      async () => (await night!.remains()).length === 0,
      PATIENCE_MS,
    );
    const from = await night!.generations();
    const [web, db] = await installation.runAll(
      ["run job=web level=Full yes", "run job=db level=Full yes"],
      PATIENCE_MS,
    );
    for (const { termination, report } of [web!, db!]) assert.equal(termination, "Backup OK", report);
    const to = await night!.generations();
    assert.deepEqual(await night!.remains(), []);
    await sameFiles(night!, web!.jobId, [from[0], to[0]]);
    await sameDisks(night!, db!.jobId, [from[1], to[1]]);
  }

  test("the file daemon", async (t) => {
    if (!hasUml(t)) return;
    const jobs = await started();
    await night!.endFiled("-KILL");
    assert.ok((await night!.remains()).length >= SNAPSHOTS.length);
    await night!.startFiled();
    await recovered(jobs);
  });

  test("the director", async (t) => {
    if (!hasUml(t)) return;
    const { installation } = night!;
    const jobs = await started();
    await installation.kill("director");
    // Nobody has to start it for that.
    await until("the end of the hooks", async () => (await night!.remains()).length === 0, PATIENCE_MS);
    await installation.start("director");
    await installation.waitReady();
    await recovered(jobs);
  });

  test("the whole machine", async (t) => {
    if (!hasUml(t)) return;
    const { machine } = night!;
    const jobs = await started();
    await machine.kill();
    await machine.boot();
    assert.deepEqual((await night!.remains()).sort(), SNAPSHOTS);
    await night!.startGuests();
    await night!.startFiled();
    await recovered(jobs);
  });
});
