/** `basalt snapshot` with real logical volumes. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Hypervisor } from "./hypervisor.js";
import { hasUml, missingForUml } from "./uml.js";

describe("snapshots of logical volumes", () => {
  let kvm: Hypervisor;

  before(async () => {
    if (missingForUml() !== "") return;
    kvm = await Hypervisor.create({ diskMib: 2048 });
    await kvm.machine.run(
      `for name in web-disk1 web-disk2 web-swap1 web1-disk1 web-disk1-disk1; do
        lvcreate -q -y -L 32M -n vm_$name kvm-01; echo old $name >/dev/kvm-01/vm_$name
      done`,
    );
  });
  after(() => kvm?.machine.close());

  const ORIGINS = ["vm_web-disk1", "vm_web-disk1-disk1", "vm_web-disk2", "vm_web-swap1", "vm_web1-disk1"];

  test("thick: all disks of one machine and no others, as they were; removed without a trace", async (t) => {
    if (!hasUml(t)) return;
    await kvm.configure([{ Name: "disks", Provider: "lvm", Size: "8 MB" }]);
    const { output } = await kvm.snapshot("create web");
    assert.match(
      output,
      /snapshot of vm_web-disk1 \(33.55 MB\) is \/dev\/kvm-01\/snap_vm_web-disk1, room for changes: 8/,
    );
    assert.match(output, /disks not simultaneous/);
    assert.deepEqual(await kvm.volumes(), ["snap_vm_web-disk1", "snap_vm_web-disk2", ...ORIGINS]);
    const seen = await kvm.machine.run(
      `for n in 1 2; do echo new >/dev/kvm-01/vm_web-disk$n; done; sync
      for n in 1 2; do head -n 1 /dev/kvm-01/snap_vm_web-disk$n; done`,
    );
    assert.equal(seen.output, "old web-disk1\nold web-disk2\n");
    const second = await kvm.snapshot("create web", { status: 1 });
    assert.match(second.output, /there are snapshots of web already, made by hand/);

    const [set] = JSON.parse((await kvm.snapshot("list --json")).output);
    assert.deepEqual([set.vm, set.state, set.complete, set.job], ["web", "kept", true, null]);
    assert.deepEqual(
      set.disks.map(({ number, device, fault }: Record<string, unknown>) => [number, device, fault]),
      [1, 2].map((number) => [number, `/dev/kvm-01/snap_vm_web-disk${number}`, null]),
    );
    await kvm.snapshot("cleanup");
    assert.equal((await kvm.volumes()).length, ORIGINS.length + 2);
    await kvm.snapshot("remove web");
    assert.deepEqual(await kvm.volumes(), ORIGINS);
    await kvm.snapshot("remove web");
  });

  test("thin: in the pool, switched on this time only", async (t) => {
    if (!hasUml(t)) return;
    await kvm.machine.run(
      `lvcreate -q -y -T -L 64M kvm-01/pool
      for n in 1 2; do lvcreate -q -y -V 64M -T kvm-01/pool -n vm_thin-disk$n; echo old >/dev/kvm-01/vm_thin-disk$n; done`,
    );
    await kvm.configure([{ Name: "disks", Provider: "lvm-thin", Size: "10%", VolumeGroup: "kvm-01" }]);
    await kvm.snapshot("create thin");
    const seen = await kvm.machine.run(
      `echo new >/dev/kvm-01/vm_thin-disk1; sync; head -n 1 /dev/kvm-01/snap_vm_thin-disk1
      lvs --noheadings -o lv_attr kvm-01/snap_vm_thin-disk1`,
    );
    assert.match(seen.output, /^old\n *Vwi-a-tz-k/);
    const refused = await kvm.snapshot("create web", { status: 1 });
    assert.match(refused.output, /kvm-01\/vm_web-disk1 is no thin volume/);
    await kvm.snapshot("remove thin");

    await kvm.configure([{ Name: "disks", Provider: "lvm", Size: "60%" }]);
    const full = await kvm.snapshot("create thin", { status: 1 });
    assert.match(
      full.output,
      /thin pool kvm-01\/pool has [\d.]+ MB free, the snapshots of thin are to have 80.53 MB: [\d.]+ MB are missing/,
    );
    assert.deepEqual(await kvm.volumes(), ["pool", "vm_thin-disk1", "vm_thin-disk2", ...ORIGINS].sort());
    await kvm.machine.run("lvremove -q -y kvm-01/pool");
  });

  test("without room nothing is made, and what is missing is said", async (t) => {
    if (!hasUml(t)) return;
    await kvm.configure([{ Name: "disks", Provider: "lvm", Size: "100%" }]);
    await kvm.machine.run("lvcreate -q -y -l 98%FREE -n filler kvm-01");
    const { output } = await kvm.snapshot("create web", { status: 1 });
    assert.match(
      output,
      /volume group kvm-01 has [34]\d\.\d+ MB free, the snapshots of web are to have 67\.11 MB: [\d.]+ MB are missing; make room/,
    );
    assert.deepEqual(await kvm.volumes(), ["filler", ...ORIGINS]);
    await kvm.machine.run("lvremove -q -y kvm-01/filler");
  });

  test("all or nothing: a disk that cannot have one, a signal, a volume that somebody else made", async (t) => {
    if (!hasUml(t)) return;
    await kvm.configure([{ Name: "disks", Provider: "lvm", Size: "8 MB" }]);
    await kvm.machine.run("lvcreate -q -y -T -L 32M kvm-01/vm_web-disk3");
    const failed = await kvm.snapshot("create web", { status: 1 });
    assert.match(
      failed.output,
      /snap_vm_web-disk1 removed\n.*snap_vm_web-disk2 removed\nbasalt: lvcreate --snapshot failed/s,
    );
    assert.deepEqual(await kvm.volumes(), [...ORIGINS, "vm_web-disk3"].sort());
    await kvm.machine.run("lvremove -q -y kvm-01/vm_web-disk3");

    const ended = await kvm.machine.run(
      `${kvm.command("create web")} & pid=$!
      until lvs kvm-01/snap_vm_web-disk1 >/dev/null 2>&1; do :; done; kill -TERM $pid; wait $pid`,
      { status: 130 },
    );
    assert.match(ended.output, /ended by SIGTERM: nothing is left behind/);
    assert.deepEqual(await kvm.volumes(), ORIGINS);

    await kvm.machine.run("lvcreate -q -y -L 4M -n snap_vm_web-disk2 kvm-01");
    const foreign = await kvm.snapshot("create web", { status: 1 });
    assert.match(foreign.output, /kvm-01\/snap_vm_web-disk2 exists, and Basalt did not make it/);
    await kvm.snapshot("remove web");
    await kvm.snapshot("cleanup web");
    assert.deepEqual(await kvm.volumes(), ["snap_vm_web-disk2", ...ORIGINS]);
  });
});
