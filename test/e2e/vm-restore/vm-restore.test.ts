/** `basalt restore-vm` with real daemons: disks of files and of images, by a console and by hand, and broken off. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { appendFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { stringify } from "yaml";
import { loopDevice } from "../../helpers/loop-device.js";
import { noise } from "../../helpers/random.js";
import { Scenario, sameTrees } from "../../helpers/scenario.js";
import { makeSparse } from "../../helpers/sparse.js";
import { makeOddTree } from "../../helpers/tree.js";
import { runProgram } from "../../helpers/tree-ops.js";
import { sameBytes } from "../image/sparse.js";
import { whileMounted } from "./mounted.js";

const MIB = 1024 * 1024;
const ROOT_UUID = "11111111-2222-4333-8444-555555555555";
const HOME_UUID = "21111111-2222-4333-8444-555555555555";

interface Ended {
  status: number | null;
  output: string;
}

describe("restore-vm", () => {
  let scenario: Scenario;
  let started = "";

  /** `basalt restore-vm …`; its output so far is in `started`. */
  function start(words: readonly string[]): { child: ChildProcess; ended: Promise<Ended> } {
    const child = spawn(scenario.basalt, ["restore-vm", ...words], { stdio: ["pipe", "pipe", "pipe"] });
    let output = "";
    started = "";
    for (const stream of [child.stdout, child.stderr])
      stream!.on("data", (data: Buffer) => {
        output += data.toString();
        started = output;
      });
    const ended = new Promise<Ended>((resolve) =>
      child.once("close", (status) => resolve({ status, output })),
    );
    return { child, ended };
  }

  async function restoreVm(words: readonly string[], status = 0): Promise<string> {
    const result = await start(words).ended;
    assert.equal(result.status, status, result.output);
    return result.output;
  }

  const console = (): string[] => ["-c", join(scenario.installation.dir, "console.yaml")];
  const loops = (): string[] =>
    readdirSync("/sys/block").filter((name) => existsSync(`/sys/block/${name}/loop/backing_file`));

  /** Nothing of this test is attached or mounted. */
  async function nothingLeft(): Promise<void> {
    const files = await Promise.all(
      loops().map((name) => readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => "")),
    );
    assert.deepEqual(
      files.filter((file) => file.startsWith(scenario.path("disks"))),
      [],
    );
    assert.ok(!(await readFile("/proc/self/mountinfo", "utf8")).includes(scenario.path("mnt")));
    assert.ok(!existsSync(scenario.path("mnt/web1")));
  }

  async function plan(name: string, vm: object): Promise<string> {
    const file = scenario.path(`${name}.yaml`);
    const VM = { Name: "web1", Client: "t-fd", Directory: scenario.path("mnt"), ...vm };
    await writeFile(file, stringify({ VM }));
    return file;
  }

  /** For the longest links and attributes of the tree. */
  const MkfsOptions = "-b 4096 -O ea_inode";
  const PARTITIONS = [
    { Size: "1m", Type: "21686148-6449-6E6F-744E-656564454649", Name: "bios" },
    { Size: "160m", Filesystem: "ext4", UUID: ROOT_UUID, Label: "root", MkfsOptions, Mount: "/" },
    { Filesystem: "ext4", UUID: HOME_UUID, MkfsOptions, Mount: "/home" },
  ];
  const PLACES = [
    [2, ""],
    [3, "/home"],
  ] as const;

  before(async () => {
    scenario = await Scenario.create("vm-restore", { keepConsole: true });
    const tree = scenario.path("web1");
    for (const directory of ["", "etc", "boot", "home", "lost+found", "home/lost+found"])
      await mkdir(join(tree, directory), { mode: directory.endsWith("found") ? 0o700 : 0o755 });
    for (const place of ["srv", "home/user"]) {
      await mkdir(join(tree, place));
      await makeOddTree(join(tree, place), { hugeDirectory: 100, shortPaths: true, seed: place });
    }
    const lines = `UUID=${ROOT_UUID} / ext4 defaults 0 1\nUUID=${HOME_UUID} /home ext4 defaults 0 2\n`;
    await writeFile(join(tree, "etc/fstab"), lines);
    await writeFile(join(tree, "boot/vmlinuz-6.1.0-9-amd64"), noise(100_000, "kernel"));
    await writeFile(join(tree, "boot/initrd.img-6.1.0-9-amd64"), noise(200_000, "initrd"));
    await mkdir(scenario.path("disks"));
    await mkdir(scenario.path("images"));
    for (const number of [1, 2]) {
      const pieces = [[MIB, noise(2 * MIB, `disk ${number}`)]] as const;
      makeSparse(scenario.path(`images/snap_web2-disk${number}.raw`), 32 * MIB, [...pieces]);
    }
    await scenario.define([{ name: "web1" }]);
    const common = {
      Client: "t-fd",
      FileSet: "web2",
      Storage: "File",
      Messages: "Standard",
      Pool: "Default",
    };
    await scenario.installation.writeResources("web2", {
      FileSet: [{ Name: "web2", Include: { Image: [scenario.path("images/*.raw")] } }],
      Job: [{ Name: "web2", Type: "Backup", Level: "Incremental", ...common }],
    });
    await scenario.installation.startAll();
    await scenario.backup("web1", "Full");
    await appendFile(join(tree, "srv/new"), "only in the Incremental");
    await scenario.backup("web1", "Incremental");
    await scenario.backup("web2", "Full");
  });
  after(() => scenario?.close());

  test("a disk of files: the plan is shown, then carried out; the tree is the state after the Incremental", async () => {
    const disk = scenario.path("disks/web1.raw");
    const file = await plan("files", {
      JobId: 2,
      Disk: [{ Device: disk, Size: "320m", Partition: PARTITIONS }],
    });
    const shown = await restoreVm(["check", file]);
    assert.match(shown, /partition 2 at 2,097,152, .*mkfs.ext4 .*, mounted at \/\n/);
    assert.match(shown, /nothing was touched/);
    assert.ok(!existsSync(disk));
    const output = await restoreVm(["run", file, ...console(), "--boot-files", scenario.path("boot")]);
    assert.match(output, /Restore job \d+ runs: the state of JobId\(s\) 1,2\n/);
    assert.match(output, /\/etc\/fstab needs no change/);
    assert.match(output, /web1 is restored\n$/);
    await nothingLeft();
    await whileMounted(disk, scenario.path("look"), PLACES, async () => {
      await sameTrees(scenario.path("web1"), scenario.path("look"));
    });
    const kernel = await readFile(scenario.path("boot/kernel"));
    assert.ok(kernel.equals(noise(100_000, "kernel")));
    await rm(disk);
  });

  test("by hand: it says what to type, and releases everything when told that it is done", async () => {
    const disk = scenario.path("disks/web1.raw");
    const file = await plan("hand", {
      JobId: 2,
      Disk: [{ Device: disk, Size: "320m", Partition: PARTITIONS }],
    });
    const { child, ended } = start(["run", file]);
    const command = await new Promise<string>((resolve, reject) => {
      void ended.then(({ output }) => reject(new Error(output)));
      child.stdout!.on("data", () => {
        const found = /^ {2}(restore jobid=.*)\n(?:.*\n)*.*anything else gives up:\n/m.exec(started);
        if (found !== null) resolve(found[1]!);
      });
    });
    const ids = await scenario.installation.console([".bvfs_get_jobids jobid=2"]);
    const chain = /^(1,2)$/m.exec(ids)?.[1] ?? ids;
    const [report] = await scenario.installation.runAll([command.replace("jobid=2", `jobid=${chain}`)]);
    assert.equal(report!.termination, "Restore OK", report!.report);
    child.stdin!.end("done\n");
    const { status, output } = await ended;
    assert.equal(status, 0, output);
    await nothingLeft();
    await whileMounted(disk, scenario.path("look"), PLACES, () =>
      sameTrees(scenario.path("web1"), scenario.path("look")),
    );
    const given = start([
      "run",
      await plan("again", {
        JobId: 2,
        Disk: [{ Device: disk, Size: "320m", Overwrite: "yes", Partition: PARTITIONS }],
      }),
    ]);
    given.child.stdin!.end("no\n");
    assert.equal((await given.ended).status, 130, started);
    await nothingLeft();
    await rm(disk);
  });

  test("images: the plan comes from the job's list; onto a file and a device, and onto nothing else", async (t) => {
    const text = await restoreVm(["images", "web2", "--jobid", "3", "--client", "t-fd", ...console()]);
    assert.match(
      text,
      new RegExp(`Device: ${scenario.path("images/web2-disk1.raw")}\n +Size: ${32 * MIB}\n`),
    );
    const backing = makeSparse(scenario.path("disks/backing"), 33 * MIB, [[0, noise(33 * MIB, "old")]]);
    const device = loopDevice(t, backing);
    if (device === undefined) return;
    const [first, second] = ["images/snap_web2-disk1.raw", "images/snap_web2-disk2.raw"].map((name) =>
      scenario.path(name),
    );
    const Size = 32 * MIB;
    const target = scenario.path("disks/web2-disk2.raw");
    const disks = [
      { Device: device, Size, Image: first },
      { Device: target, Size, Image: second },
    ];
    const refused = await plan("images", {
      JobId: 3,
      Disk: disks.map((disk) => ({ ...disk, Image: `${disk.Image}x` })),
    });
    assert.match(
      await restoreVm(["run", refused, ...console()], 1),
      /does not fit the plan: there is no .*rawx in it/,
    );
    const file = await plan("images", { JobId: 3, Disk: disks });
    const output = await restoreVm(["run", file, ...console()]);
    assert.match(
      output,
      /larger than the plan's Size by 1,048,576 bytes; what lies behind the image's end stays/,
    );
    await runProgram("cmp", ["-n", String(Size), first!, backing]);
    const rest = await readFile(backing);
    assert.ok(rest.subarray(Size).equals(noise(33 * MIB, "old").subarray(Size)));
    sameBytes(second!, target);
    assert.ok(statSync(target).blocks * 512 < 4 * MIB);
    // One of two: the other stays away.
    const one = await plan("one", { JobId: 3, Disk: [{ ...disks[1], Overwrite: "yes" }] });
    const before = statSync(first!).mtimeMs;
    await restoreVm(["run", one, ...console()]);
    assert.equal(statSync(first!).mtimeMs, before);
    assert.match(
      await restoreVm(["check", file], 1),
      /web2-disk2.raw holds a file: if that may go, say Overwrite: yes/,
    );
  });

  test("broken off by a signal: the Restore job is canceled, and nothing stays mounted", async () => {
    const disk = scenario.path("disks/broken.raw");
    const file = await plan("signal", {
      JobId: 2,
      Disk: [{ Device: disk, Size: "320m", Partition: PARTITIONS }],
    });
    const storaged = scenario.installation.pid("storaged");
    const { child, ended } = start(["run", file, ...console()]);
    const running = new Promise<void>((resolve, reject) => {
      void ended.then(({ output }) => reject(new Error(output)));
      const look = (): void => {
        if (!/Restore job \d+ runs/.test(started)) return;
        child.stdout!.off("data", look);
        process.kill(storaged, "SIGSTOP");
        resolve();
      };
      child.stdout!.on("data", look);
    });
    try {
      await running;
      child.kill("SIGTERM");
    } finally {
      process.kill(storaged, "SIGCONT");
    }
    const { status, output } = await ended;
    assert.equal(status, 130, output);
    assert.match(output, /SIGTERM: releasing everything/);
    await nothingLeft();
    await scenario.installation.console(["wait"]);
  });

  test("what is asked badly is told", async () => {
    assert.match(await restoreVm(["check", scenario.path("none.yaml")], 2), /none.yaml: no such file/);
    const disk = {
      Device: scenario.path("disks/x.raw"),
      Size: "64m",
      Partition: [{ Filesystem: "ext4", Mount: "/" }],
    };
    const gone = await plan("gone", { JobId: 99, Disk: [disk] });
    assert.match(await restoreVm(["run", gone, ...console()], 1), /99/);
    await nothingLeft();
    assert.match(await restoreVm(["cleanup", gone]), /nothing is left/);
    assert.match(
      await restoreVm(["images", "x", "--jobid", "0", ...console()], 2),
      /a JobId is a number from 1 on/,
    );
  });
});
