/** Jobs whose snapshots overflow, and jobs that die: director and storage daemon on the host, the file daemon on a hypervisor. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { stringify } from "yaml";
import { Installation } from "../helpers/installation.js";
import { findReport, type JobReport } from "../helpers/job-report.js";
import { portAnswers } from "../helpers/ports.js";
import { REPOSITORY } from "../helpers/root.js";
import { jobLog, startJob, until, writeScript } from "../helpers/running.js";
import { Hypervisor } from "./hypervisor.js";
import { hasUml, joinTestNetwork, MACHINE_ADDRESS, missingForUml } from "./uml.js";

const ADDRESS = MACHINE_ADDRESS.replace(/\/.*/, "");
const ORIGINS = ["vm_thick-disk1", "vm_thick-disk2", "vm_thin-disk1"];

describe("snapshots that overflow, daemons that die", () => {
  let kvm: Hypervisor;
  let installation: Installation;

  before(async () => {
    if (missingForUml() !== "") return;
    await joinTestNetwork();
    kvm = await Hypervisor.create({ address: MACHINE_ADDRESS, diskMib: 512 });
    installation = await Installation.create(kvm.machine.path("site"), { name: "t" });
    installation.keepConsole();
    await configure();
    await kvm.machine.run(
      `for n in 1 2; do lvcreate -q -y -L 24M -n vm_thick-disk$n kvm-01; done
      lvcreate -q -y -T -L 32M kvm-01/pool; lvcreate -q -y -V 64M -T kvm-01/pool -n vm_thin-disk1
      for name in thick-disk1 thick-disk2 thin-disk1; do yes $name | head -c 8M >/dev/kvm-01/vm_$name; done; sync`,
    );
    await startFiled();
    await installation.start("storaged");
    await installation.start("director");
    await installation.waitReady();
  });

  after(async () => {
    await installation?.stop();
    await kvm?.machine.close();
  });

  /** Before hooks of each job: the snapshot, then what is done while it is there. */
  async function configure(): Promise<void> {
    const hooks = join(installation.dir, "hooks");
    await writeScript(join(hooks, "write-over"), [
      "set -e",
      'dd if=/dev/urandom of="$1" bs=1M count="$2" oflag=direct conv=notrunc status=none',
    ]);
    await writeScript(join(hooks, "wait"), [`touch ${kvm.machine.path("waits")}`, "sleep 3600"]);
    const jobs = {
      good: ["thick", "write-over /dev/kvm-01/vm_thick-disk1 1"],
      overflow: ["thick", "write-over /dev/kvm-01/vm_thick-disk2 16"],
      thin: ["thin", "write-over /dev/kvm-01/vm_thin-disk1 30"],
      dies: ["thick", "wait"],
    } as const;
    const script = (RunsWhen: string, Command: string, more: object = {}) => {
      return { RunsWhen, Command, RunsOnClient: "yes", ...more };
    };
    await installation.writeResources("jobs", {
      FileSet: ["thick", "thin"].map((vm) => {
        return { Name: vm, Include: { Image: `/dev/kvm-01/snap_vm_${vm}-disk*` } };
      }),
      Job: Object.entries(jobs).map(([Name, [vm, command]]) => ({
        ...{
          Name,
          Type: "Backup",
          Level: "Full",
          Client: "t-fd",
          FileSet: vm,
          Storage: "File",
          Pool: "Default",
        },
        Messages: "Standard",
        RunScript: [
          script("Before", `snapshot-create ${vm}`),
          script("Before", command, { FailJobOnError: "no" }),
          script("After", `snapshot-remove ${vm}`, { RunsOnFailure: "yes" }),
        ],
      })),
    });
    const Snapshot = { Name: "disks", Provider: "lvm", Size: "8 MiB" };
    await installation.editConfig(
      "filed",
      (text) => `${text.replace(/^ {2}Address: \S+/m, "  Address: 0.0.0.0")}\n${stringify({ Snapshot })}`,
    );
    await installation.editConfig("director", (text) =>
      text.replace(/( - Name: t-fd\n +Address: )127\.0\.0\.1/, `$1${ADDRESS}`),
    );
  }

  async function startFiled(): Promise<void> {
    const command = `${REPOSITORY}/basalt filed -c ${join(installation.dir, "filed.yaml")}`;
    await kvm.machine.run(
      `setsid ${command} </dev/null >>filed.log 2>&1 &
      echo $! >filed.pid`,
    );
    const port = installation.portBase + 1;
    await until("the file daemon", () => portAnswers(port, ADDRESS), 300_000);
  }

  const reportOf = (jobId: number): Promise<JobReport> =>
    until(`the report of JobId ${jobId}`, () => findReport(jobLog(installation, jobId), jobId), 900_000);

  const ended = async (job: string): Promise<JobReport> => reportOf(await startJob(installation, job));

  const left = async (): Promise<string[]> => (await kvm.volumes()).filter((name) => !ORIGINS.includes(name));

  test("one with room is good", async (t) => {
    if (!hasUml(t)) return;
    const { termination, report } = await ended("good");
    assert.equal(termination, "Backup OK", report);
    assert.match(report, /thick: snapshots are good; [\d.]+% of their room was used at most/);
    assert.deepEqual(await left(), ["pool"]);
  });

  test("an undersized one fails its job, which says so", async (t) => {
    if (!hasUml(t)) return;
    const { termination, report } = await ended("overflow");
    assert.equal(termination, "*** Backup Error ***", report);
    const told =
      /the snapshot \/dev\/kvm-01\/snap_vm_thick-disk2 has overflowed, its data is garbage \(Size in Snapshot "disks"\): the backup is no good/;
    assert.match(report, told);
    assert.deepEqual(await left(), ["pool"]);
  });

  test("what a job left whose file daemon was killed goes when that starts again", async (t) => {
    if (!hasUml(t)) return;
    const waits = kvm.machine.path("waits");
    const jobId = await startJob(installation, "dies");
    await until("the job waits in its second hook", () => existsSync(waits), 600_000);
    assert.deepEqual(await left(), ["pool", "snap_vm_thick-disk1", "snap_vm_thick-disk2"]);
    const config = `-c ${join(installation.dir, "filed.yaml")}`;
    const snapshot = `${REPOSITORY}/basalt snapshot`;
    const { output } = await kvm.machine.run(
      `${snapshot} cleanup ${config}; ${snapshot} list ${config}; kill -9 $(cat filed.pid)`,
    );
    assert.match(output, new RegExp(`^thick +2 .* JobId ${jobId} \\(runs\\)`, "m"));
    await startFiled();
    assert.deepEqual(await left(), ["pool"]);
    const { output: log } = await kvm.machine.run("cat filed.log");
    assert.match(log, new RegExp(`thick: removing snapshots that JobId ${jobId} has left`));
    const { termination } = await reportOf(jobId);
    assert.equal(termination, "*** Backup Error ***");
    const again = await ended("good");
    assert.equal(again.termination, "Backup OK", again.report);
  });

  test("a thin pool that is full fails the job", async (t) => {
    if (!hasUml(t)) return;
    const { termination, report } = await ended("thin");
    assert.equal(termination, "*** Backup Error ***", report);
    assert.match(
      report,
      /snap_vm_thin-disk1 lies in the thin pool pool, which is (?:full|not well: out_of_data)/,
    );
    assert.deepEqual(await left(), ["pool"]);
  });
});
