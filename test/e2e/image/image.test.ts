/** Disk images with real daemons: files and devices, holes, changed blocks, free blocks, restores onto devices. */
import assert from "node:assert/strict";
import { mkdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type JobReport, reportNumber } from "../../helpers/job-report.js";
import { loopDevice } from "../../helpers/loop-device.js";
import { noise } from "../../helpers/random.js";
import { Scenario } from "../../helpers/scenario.js";
import { makeSparse, writeInto } from "../../helpers/sparse.js";
import { runProgram } from "../../helpers/tree-ops.js";
import { sameBytes, sameImage } from "./sparse.js";

const KIB = 1024;
const MIB = 1024 * KIB;
const TIB = 1024 ** 4;
const BLOCK = 64 * KIB;

describe("disk images", () => {
  let scenario: Scenario;
  let images: string;
  let disk: string;
  let huge: string;

  /** A job and its FileSet: one Include with these images. */
  const define = (name: string, Image: string[], Options = {}, more = {}): Promise<void> =>
    scenario.installation.writeResources(name, {
      FileSet: [{ Name: name, Include: { Image, Options, ...more } }],
      Job: [
        {
          ...{ Name: name, Type: "Backup", Level: "Incremental", Client: "t-fd", FileSet: name },
          ...{ Storage: "File", Messages: "Standard", Pool: name },
        },
        {
          ...{
            Name: `verify-${name}`,
            Type: "Verify",
            Level: "DiskToCatalog",
            VerifyJob: name,
            Client: "t-fd",
          },
          ...{ FileSet: name, Storage: "File", Messages: "Standard", Pool: name },
        },
      ],
      Pool: [{ Name: name, PoolType: "Backup", LabelFormat: `${name}-` }],
    });

  const stored = (report: JobReport): number => reportNumber(report, "SD Bytes Stored");
  const read = (report: JobReport): number => reportNumber(report, "FD Bytes Read");
  /** `cp` keeps holes. */
  const copy = (from: string, to: string) => runProgram("cp", ["--sparse=always", "--preserve", from, to]);

  before(async () => {
    scenario = await Scenario.create("image", { keepConsole: true });
    images = scenario.path("images");
    disk = join(images, "vm1-disk1.raw");
    huge = join(images, "vm1-disk2.raw");
    await mkdir(scenario.path("content/sub"), { recursive: true });
    for (let i = 0; i < 40; i++)
      await writeFile(scenario.path(`content/sub/file${i}`), noise(300_000 + i * 1000, `file ${i}`));
    await mkdir(images);
    makeSparse(disk, 64 * MIB, []);
    await runProgram("mkfs.ext4", ["-q", "-F", "-d", scenario.path("content"), disk]);
    makeSparse(huge, TIB, [
      [0, noise(100 * KIB, "start")],
      [TIB / 2 + 1, noise(300 * KIB, "middle")],
      [TIB - 7, noise(7, "end")],
    ]);
    await define("vm1", [`${images}/vm1-disk*`]);
    await define("letters", [`${images}/vm1-disk*`], { Verify: "pugs5m" });
    await define("free", [`${images}/free.raw`], { SkipFree: "yes" });
    await define(
      "mixed",
      [`${images}/vm1-disk[2]*`, `${images}/none-*`],
      {},
      { File: [scenario.path("content/sub/file1")] },
    );
    await define("device", ["/dev/basalt-none*"]);
    await scenario.installation.startAll();
  });

  after(() => scenario?.close());

  /** Restored below a new directory, compared, removed. */
  async function restoresAs(name: string, expected: Record<string, string>, options = {}): Promise<void> {
    const where = await scenario.restore(name, options);
    for (const [path, copied] of Object.entries(expected)) sameImage(copied, join(where, path));
    await rm(where, { recursive: true });
  }

  test("a Full stores data once and no holes; both images come back with their holes", async () => {
    const report = await scenario.backup("vm1", "Full");
    assert.equal(reportNumber(report, "SD Files Written"), 2);
    assert.ok(reportNumber(report, "FD Bytes Written") === TIB + 64 * MIB, report.report);
    const { blocks } = await stat(disk);
    assert.ok(stored(report) < blocks * 512 + MIB, report.report);
    assert.ok(read(report) < blocks * 512 + 4 * MIB, report.report);
    await restoresAs("vm1", { [disk]: disk, [huge]: huge });
  });

  test("an Incremental stores the changed blocks alone; both states come back", async () => {
    const old = scenario.path("old");
    await mkdir(old);
    await copy(disk, join(old, "disk"));
    await copy(huge, join(old, "huge"));
    const places = Array.from({ length: 200 }, (_, i) => Math.floor((i * 64 * MIB) / 200));
    writeInto(
      disk,
      places.map((at, i) => [at, noise(200 + i, `change ${i}`)]),
    );
    const touched = new Set(
      places.flatMap((at, i) => [at, at + 200 + i].map((end) => Math.floor(end / BLOCK))),
    );
    const report = await scenario.backup("vm1", "Incremental");
    assert.equal(reportNumber(report, "SD Files Written"), 1);
    // The disk that was not touched is not read.
    assert.ok(read(report) <= 64 * MIB, report.report);
    assert.ok(stored(report) < touched.size * BLOCK + MIB, report.report);
    const again = await scenario.backup("vm1", "Incremental");
    assert.equal(read(again), 0, again.report);
    await restoresAs("vm1", { [disk]: disk, [huge]: huge });
    await restoresAs("vm1", { [disk]: join(old, "disk"), [huge]: join(old, "huge") }, { jobIds: [1] });
  });

  test("Verify compares what is on the disks, in the blocks of the backup", async () => {
    const backup = await scenario.backup("letters", "Full");
    assert.ok(stored(backup) > 0);
    const verify = (): Promise<JobReport> => scenario.installation.runJob("verify-letters");
    assert.match((await verify()).termination, /^Verify OK/);
    const { atime, mtime } = await stat(disk);
    writeInto(disk, [[3 * MIB, Buffer.from("unnoticed")]]);
    await utimes(disk, atime, mtime);
    const report = await verify();
    assert.equal(report.termination, "Verify Differences", report.report);
    assert.match(report.report, /vm1-disk1.raw\n(?:.|\n)*BLAKE3 {3}differs/);
    assert.doesNotMatch(report.report, /vm1-disk2.raw\n/);
  });

  test("estimate counts images; files stand beside them", async () => {
    const listed = await scenario.installation.console(["estimate job=mixed listing"]);
    assert.match(listed, new RegExp(huge));
    assert.match(listed, /files=2 /);
    const report = await scenario.backup("mixed", "Full", "Backup OK -- with warnings");
    assert.match(report.report, /Image "[^"]*\/none-\*" matches no device or file/);
    const file = scenario.path("content/sub/file1");
    await restoresAs("mixed", { [huge]: huge, [file]: file });
  });

  test("a job none of whose images exist fails and says so", async () => {
    const report = await scenario.backup("device", "Full", "*** Backup Error ***");
    assert.match(report.report, /no Image of the FileSet exists: \/dev\/basalt-none\*/);
  });

  test("SkipFree leaves out what the file system does not use, and no more", async () => {
    const image = join(images, "free.raw");
    makeSparse(image, 64 * MIB, []);
    await runProgram("mkfs.ext4", ["-q", "-F", "-d", scenario.path("content"), image]);
    // Deleted files leave their content behind.
    const commands = Array.from({ length: 30 }, (_, i) => `rm /sub/file${i}`).join("\n");
    await writeFile(scenario.path("commands"), `${commands}\n`);
    await runProgram("debugfs", ["-w", "-f", scenario.path("commands"), image]);
    const report = await scenario.backup("free", "Full");
    assert.match(report.report, /free.raw": SkipFree: whole disk, ext4: .* free/);
    assert.ok(stored(report) < 10 * 400_000 + MIB, report.report);
    const where = await scenario.restore("free");
    const restored = join(where, image);
    await runProgram("e2fsck", ["-fn", restored]);
    await runProgram("debugfs", ["-R", `dump /sub/file35 ${scenario.path("dumped")}`, restored]);
    const dumped = await readFile(scenario.path("dumped"));
    assert.ok(dumped.equals(await readFile(scenario.path("content/sub/file35"))));
  });

  test("a device is always read, and is restored in place when nobody uses it", async (t) => {
    const backing = scenario.path("backing");
    makeSparse(backing, 16 * MIB, [[MIB, noise(5 * MIB, "device")]]);
    const device = loopDevice(t, backing);
    if (device === undefined) return;
    await define("device", [`${device}`]);
    await scenario.installation.console(["reload"]);
    const full = await scenario.backup("device", "Full");
    assert.equal(read(full), 16 * MIB, full.report);
    const quiet = await scenario.backup("device", "Incremental");
    assert.equal(read(quiet), 16 * MIB, quiet.report);
    assert.equal(reportNumber(quiet, "SD Files Written"), 0, quiet.report);
    writeInto(device, [[2 * MIB, noise(1000, "new")]]);
    const changed = await scenario.backup("device", "Incremental");
    assert.ok(stored(changed) < 2 * BLOCK + 64 * KIB, changed.report);
    const wanted = scenario.path("wanted");
    await runProgram("cp", ["--sparse=always", device, wanted]);
    const where = await scenario.restore("device");
    sameImage(wanted, join(where, device));
    writeInto(device, [[0, noise(16 * MIB, "junk")]]);
    const refused = await scenario.installation.restore({
      fileSet: "device",
      where: "/",
      words: "replace=never",
    });
    assert.equal(reportNumber(refused, "Files Restored"), 0);
    await scenario.restore("device", { where: "/", words: "replace=always" });
    sameBytes(wanted, backing);
  });
});
