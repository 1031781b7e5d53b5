/** Files out of disk images: a machine with two disks, three file systems and an fstab, backed up as images. */
import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { asRoot, skipWithout } from "../../../common/test-needs.js";
import { tool } from "../../../filed/image/maps/testing.js";
import type { Daemon } from "../../helpers/installation.js";
import { type JobReport, reportNumber } from "../../helpers/job-report.js";
import { noise } from "../../helpers/random.js";
import { endReport, jobLog, until } from "../../helpers/running.js";
import { Scenario, sameTrees } from "../../helpers/scenario.js";
import { removeTree } from "../../helpers/tree-ops.js";
import { sameImage } from "./sparse.js";
import { MIB, makeTwoDisks, mountsAndLoops, ROOT_PARTITION, withTwoDisks } from "./two-disks.js";

describe("files out of disk images", () => {
  let scenario: Scenario;
  /** The machine's own view of its disks, read-only. */
  let guest: string;
  let disks: string[];
  let ran = 0;
  let full = 0;
  let incremental = 0;

  const rooms = (): string => join(scenario.installation.dir, "var", "filed", "from-images");
  const nothingIsLeft = (): void => {
    assert.deepEqual(mountsAndLoops(scenario.installation.dir), []);
    assert.deepEqual(existsSync(rooms()) ? readdirSync(rooms()) : [], []);
  };

  const withGuest = (work: () => Promise<void>): Promise<void> =>
    withTwoDisks(disks[0]!, disks[1]!, guest, work);

  /** Restores into a new directory; its report. */
  async function restore(
    words: string[],
    termination = "Restore OK",
  ): Promise<{ where: string; report: JobReport; log: string }> {
    const where = scenario.path(`restored-${++ran}`);
    const command = `restore where=${where} ${words.join(" ")} yes`;
    const jobId = await startCommand(command);
    const report = await endReport(scenario.installation, jobId);
    const log = jobLog(scenario.installation, jobId);
    assert.equal(report.termination, termination, log);
    nothingIsLeft();
    return { where, report, log };
  }

  async function startCommand(command: string): Promise<number> {
    const output = await scenario.installation.console([command]);
    const queued = /^Job queued\. JobId=(\d+)/m.exec(output);
    assert.ok(queued, output);
    return Number(queued[1]);
  }

  before(async () => {
    if (process.geteuid?.() !== 0) return;
    scenario = await Scenario.create("files", { keepConsole: true });
    guest = scenario.path("guest");
    mkdirSync(guest);
    disks = [scenario.path("vm1-disk0.raw"), scenario.path("vm1-disk1.raw")];
    await makeTwoDisks(disks[0]!, disks[1]!, guest);
    await scenario.installation.writeResources("vm1", {
      FileSet: [{ Name: "vm1", Include: { Image: [`${scenario.dir}/vm1-disk*`] } }],
      Job: [
        {
          ...{ Name: "vm1", Type: "Backup", Level: "Incremental", Client: "t-fd", FileSet: "vm1" },
          ...{ Storage: "File", Messages: "Standard", Pool: "Default" },
        },
      ],
    });
    await scenario.installation.startAll();
    await scenario.backup("vm1", "Full");
    full = 1;
    // The first disk changes, the second does not.
    const commands = scenario.path("commands");
    writeFileSync(scenario.path("passwd"), "changed:x:0:0::/:/bin/sh\n");
    writeFileSync(commands, `rm /etc/passwd\nwrite ${scenario.path("passwd")} /etc/passwd\n`);
    tool("debugfs", "-w", "-f", commands, `${disks[0]}?offset=${MIB}`);
    await scenario.backup("vm1", "Incremental");
    incremental = 2;
  });

  after(() => scenario?.close());

  const can = (t: Parameters<typeof asRoot>[0]): boolean => {
    if (!asRoot(t)) return false;
    if (existsSync("/dev/fuse")) return true;
    skipWithout("/dev/fuse", t);
    return false;
  };

  test("one file comes back with little of the image read, of a Full and of the Incremental over it", async (t) => {
    if (!can(t)) return;
    const old = await restore([`jobid=${full}`, "file=/etc/passwd"]);
    assert.equal(readFileSync(join(old.where, "etc/passwd"), "utf8"), "root:x:0:0::/:/bin/sh\n");
    assert.deepEqual(readdirSync(join(old.where, "etc")), ["passwd"]);
    assert.equal(reportNumber(old.report, "Files Restored"), 1);
    const [, read] = /(\d\S* MB) of \S+ MB of disk images were read from storage/.exec(old.log) ?? [];
    assert.ok(read !== undefined && Number.parseFloat(read) < 10, old.log);
    const recent = await restore([`jobid=${incremental}`, "file=/etc/passwd", "file=/srv/www/index"]);
    assert.equal(readFileSync(join(recent.where, "etc/passwd"), "utf8"), "changed:x:0:0::/:/bin/sh\n");
    assert.equal(readFileSync(join(recent.where, "srv/www/index"), "utf8"), "hello\n");
  });

  test("directories come back with everything, across the file systems of the machine", async (t) => {
    if (!can(t)) return;
    const { where } = await restore([
      `jobid=${incremental}`,
      "directory=/odd",
      "file=/home/",
      "file=/home/user",
    ]);
    await withGuest(async () => {
      await sameTrees(join(guest, "odd"), join(where, "odd"), ["/deep"]);
      await sameTrees(join(guest, "home", "user"), join(where, "home", "user"));
      assert.equal(lstatSync(join(where, "home")).mtimeMs, lstatSync(join(guest, "home")).mtimeMs);
    });
    await removeTree(where);
  });

  test("large files come back; client= finds the newest state", async (t) => {
    if (!can(t)) return;
    const { where, log } = await restore(["client=t-fd", "file=/bulk/b3"]);
    assert.ok(readFileSync(join(where, "bulk/b3")).equals(noise(8 * MIB, "bulk 3")), log);
  });

  test("image= and partition= name the place; the image itself can still be restored", async (t) => {
    if (!can(t)) return;
    const { where } = await restore([`jobid=${full}`, `image=${disks[0]}`, "partition=2", "directory=/user"]);
    assert.equal(readFileSync(join(where, "user/notes"), "utf8"), "mine\n");
    const none = await restore(
      [`jobid=${full}`, `image=${disks[0]}`, "partition=7", "file=/user"],
      "*** Restore Error ***",
    );
    assert.match(none.log, /no partition 7; it has 1, 2/);
    const unknown = await restore(
      [`jobid=${full}`, `image=${disks[1]}`, "file=/www"],
      "*** Restore Error ***",
    );
    assert.match(unknown.log, /etc\/fstab.*partition=NUMBER/);
    const whole = await restore([`jobid=${incremental}`, `file=${disks[0]}`]);
    sameImage(disks[0]!, join(whole.where, disks[0]!));
    await removeTree(whole.where);
  });

  test("what is not there is told, also what only a symbolic link of the guest leads to", async (t) => {
    if (!can(t)) return;
    const some = await restore(
      [
        `jobid=${full}`,
        "file=/etc/passwd",
        "file=/etc/nothing",
        "file=/lib64/x",
        "file=/etc/passwd/x",
        "file=/etc/evil",
      ],
      "Restore OK -- warning file count mismatch",
    );
    assert.match(some.log, /\/etc\/nothing is not in the disk images/);
    assert.match(some.log, /\/lib64 is a symbolic link to usr\/lib/);
    assert.match(some.log, /\/etc\/passwd is no directory/);
    assert.deepEqual(readdirSync(join(some.where, "etc")).sort(), ["evil", "passwd"]);
    assert.ok(lstatSync(join(some.where, "etc/evil")).isSymbolicLink());
    const none = await restore([`jobid=${full}`, "file=/nothing"], "*** Restore Error ***");
    assert.match(none.log, /nothing of what was asked for is in the disk images/);
    const words = await scenario.installation.console([
      ...[`restore jobid=${full} image=/none file=/x yes`, `restore jobid=${full} partition=1 done yes`],
    ]);
    assert.match(words, /image=\/none: the JobId\(s\) have no such disk image/);
    assert.match(words, /name them with file= or directory=/);
  });

  test("of a running machine's disk the journal is replayed, beside the image", async (t) => {
    if (!can(t)) return;
    tool("mount", "-o", ROOT_PARTITION, disks[0]!, guest);
    try {
      const recent = openSync(join(guest, "etc/recent"), "w");
      writeSync(recent, "just now\n");
      // Now it is in the journal; its place in the tree is written at some time later.
      fsyncSync(recent);
      closeSync(recent);
      const { jobId } = await scenario.backup("vm1", "Incremental");
      const { where, log } = await restore([`jobid=${jobId}`, "file=/etc/recent"]);
      assert.equal(readFileSync(join(where, "etc/recent"), "utf8"), "just now\n");
      assert.match(log, /\/ is disk 0 partition 1 \(.*\), its journal is replayed/);
    } finally {
      tool("umount", guest);
    }
  });

  async function startAgain(daemon: Daemon, name: string): Promise<void> {
    await scenario.installation.start(daemon);
    await until(`${daemon} answers`, async () =>
      / Version: /.test(await scenario.installation.console([`status ${name}`])),
    );
  }

  /** Starts a restore, and stops the storage daemon while filed is in the middle of it. */
  async function stopInTheMiddle(): Promise<number> {
    const where = scenario.path(`restored-${++ran}`);
    await mkdir(where);
    const storaged = scenario.installation.pid("storaged");
    const jobId = await startCommand(
      `restore jobid=${full} where=${where} image=${disks[0]} image=${disks[1]} directory=/ yes`,
    );
    await until("the images are mounted", async () =>
      mountsAndLoops(rooms()).some((line) => line.includes("ext4")),
    );
    process.kill(storaged, "SIGSTOP");
    return jobId;
  }

  test("a storage daemon that dies in the middle: the job fails, and everything is released", async (t) => {
    if (!can(t)) return;
    const jobId = await stopInTheMiddle();
    await scenario.installation.kill("storaged");
    const { termination } = await endReport(scenario.installation, jobId);
    assert.equal(termination, "*** Restore Error ***");
    nothingIsLeft();
    await startAgain("storaged", "storage=File");
  });

  test("a canceled restore releases everything while the storage daemon stands still", async (t) => {
    if (!can(t)) return;
    const jobId = await stopInTheMiddle();
    try {
      await scenario.installation.console([`cancel jobid=${jobId} yes`]);
      await until(
        "everything is released",
        async () => mountsAndLoops(scenario.installation.dir).length === 0,
      );
    } finally {
      process.kill(scenario.installation.pid("storaged"), "SIGCONT");
    }
    await endReport(scenario.installation, jobId);
    nothingIsLeft();
  });

  test("a file daemon that was killed releases what it left when it starts again", async (t) => {
    if (!can(t)) return;
    const jobId = await stopInTheMiddle();
    await scenario.installation.kill("filed");
    process.kill(scenario.installation.pid("storaged"), "SIGCONT");
    assert.notDeepEqual(mountsAndLoops(rooms()), []);
    await endReport(scenario.installation, jobId);
    await startAgain("filed", "client=t-fd");
    nothingIsLeft();
    assert.match(scenario.installation.log("filed"), /released the disk images of a restore/);
    const { where } = await restore([`jobid=${full}`, "file=/etc/passwd"]);
    assert.ok(existsSync(join(where, "etc/passwd")));
  });
});
