/** The night of a hypervisor, with real LVM: by schedule, with hooks, while the machines write. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { findReport } from "../helpers/job-report.js";
import { noise } from "../helpers/random.js";
import { jobLog, queryDatabase, until } from "../helpers/running.js";
import { Night } from "./night.js";
import { PATIENCE_MS, sameDisks, sameFiles } from "./night-checks.js";
import { hasUml, joinTestNetwork } from "./uml.js";

const MIB = 1024 * 1024;

describe("a night on a hypervisor", () => {
  let night: Night | undefined;

  before(async (t) => {
    if (!hasUml(t as TestContext)) return;
    await joinTestNetwork();
    const files = Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => [
        `${n % 2 ? "srv/www" : "usr"}/${n % 5}/file-${n}`,
        `${n} `.repeat(n * 100),
      ]),
    );
    night = await Night.create({ files, blocks: noise(2 * MIB, "db") });
  });

  after(() => night?.close());

  test("two machines, thick and thin, file by file and as images", async (t) => {
    if (!hasUml(t)) return;
    assert.ok(night !== undefined);
    await night.startGuests();
    await night.startFiled();
    const before = await night.generations();
    await night.startNight();
    const [web, db] = [await scheduled(night, "web"), await scheduled(night, "db")];
    assert.match(web.report, /the guest agent has frozen 2 file systems/);
    assert.doesNotMatch(web.report, /not simultaneous/);
    assert.match(db.report, /started: 1 services/);
    const after = await night.generations();
    assert.ok(after[0] > before[0] && after[1] > before[1], `the machines wrote on: ${before} ${after}`);
    assert.deepEqual(await night.remains(), []);
    await sameFiles(night, web.jobId, [before[0], after[0]]);
    await sameDisks(night, db.jobId, [before[1], after[1]]);
  });
});

/** A job that the schedule has started, at its good end. */
async function scheduled({ installation }: Night, name: string) {
  const database = join(installation.dir, "var", "director", "director.db");
  const jobs = () =>
    queryDatabase<{ job_id: number }>(database, "SELECT job_id FROM job WHERE name = ?", name);
  const { job_id: jobId } = await until(`the run of ${name}`, () => jobs()[0]);
  const report = await until(
    `the end of ${name}`,
    () => findReport(jobLog(installation, jobId), jobId),
    PATIENCE_MS,
  );
  assert.equal(report.termination, "Backup OK", report.report);
  assert.match(report.lines.get("Backup Level") ?? "", /^Full/);
  return report;
}
