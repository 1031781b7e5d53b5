/** The night of a hypervisor, with real LVM: by schedule, with hooks, while the machines write. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { compareTrees, rsyncDifferences } from "../helpers/compare.js";
import { findReport } from "../helpers/job-report.js";
import { noise } from "../helpers/random.js";
import { jobLog, queryDatabase, until } from "../helpers/running.js";
import { runProgram, unmountBelow } from "../helpers/tree-ops.js";
import { Night, WEB_OFFSETS } from "./night.js";
import { hasUml, joinTestNetwork } from "./uml.js";

const MIB = 1024 * 1024;
/** One processor, and 45 ms for each program that is started. */
const PATIENCE_MS = 900_000;

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

/** What web's disks held at one instant comes back: all that it was made of, and a log on each disk that fits the other's. */
async function sameFiles(
  night: Night,
  jobId: number,
  [first, last]: readonly [number, number],
): Promise<void> {
  const restored = await night.restore(jobId);
  const expected = night.machine.path("expected");
  await mkdir(expected);
  try {
    for (const [index, file] of night.originals.web.entries())
      await runProgram("mount", [
        "-o",
        `loop,ro,noload,offset=${WEB_OFFSETS[index]}`,
        file,
        join(expected, ["", "srv"][index]!),
      ]);
    const log = /^(srv\/)?log: (size|mtimeNs|sha256) /;
    assert.deepEqual(
      (await compareTrees(expected, restored)).filter((line) => !log.test(line)),
      [],
    );
    assert.deepEqual(await rsyncDifferences(expected, restored, ["/log", "/srv/log"]), []);
  } finally {
    await unmountBelow(expected);
    await runProgram("umount", [expected]);
  }
  const [one, two] = ["log", "srv/log"].map((name) =>
    readFileSync(join(restored, name), "latin1").trim().split("\n").map(Number),
  );
  for (const numbers of [one!, two!])
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
    );
  const behind = one!.length - two!.length;
  assert.ok(behind === 0 || behind === 1, `disk 1 is at ${one!.length}, disk 2 at ${two!.length}`);
  assert.ok(
    one!.length >= first && one!.length <= last + 1,
    `${one!.length} is not between ${first} and ${last}`,
  );
}

/** Both disks of db, at one number, since its service stood still. */
async function sameDisks(
  night: Night,
  jobId: number,
  [first, last]: readonly [number, number],
): Promise<void> {
  const restored = await night.restore(jobId);
  const numbers = night.originals.db.map((original, index) => {
    const disk = readFileSync(join(restored, "dev", "kvm-01", `snap_vm_db-disk${index + 1}`));
    const expected = readFileSync(original);
    assert.equal(disk.length, expected.length);
    assert.ok(disk.subarray(4096).equals(expected.subarray(4096)), `disk ${index + 1} differs`);
    return Number(disk.subarray(0, 12).toString("latin1"));
  });
  assert.equal(numbers[0], numbers[1]);
  assert.ok(numbers[0]! >= first && numbers[0]! <= last, `${numbers[0]} is not between ${first} and ${last}`);
}
