/** The machines that other tests here use. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { HOST_ADDRESS, hasUml, joinTestNetwork, MACHINE_ADDRESS, MachineEnded, Uml } from "./uml.js";

/** Process ids whose command line names this directory. */
function processesOf(dir: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(dir);
    } catch {
      return false;
    }
  });
}

describe("machines with a kernel of their own", () => {
  test("LVM, status and output, a kill in the middle, the same disk again, network", async (t) => {
    if (!hasUml(t)) return;
    await joinTestNetwork();
    const said: string[] = [];
    const server = createServer((socket) => socket.on("data", (data) => void said.push(String(data))));
    await new Promise<void>((resolve) => server.listen(0, HOST_ADDRESS, resolve));
    const { port } = server.address() as { port: number };
    const machine = await Uml.create({ address: MACHINE_ADDRESS, diskMib: 256 });
    try {
      await machine.boot();
      const made = await machine.run(
        `vgcreate -q vg /dev/ubda && lvcreate -q -L 32M -n one vg && hostname
        echo kept >/dev/vg/one && sync && lvcreate -q -s -L 8M -n snap_one vg/one && echo new >/dev/vg/one
        head -c 4 /dev/vg/snap_one; head -c 3 /dev/vg/one
        echo " hello" >/dev/tcp/${HOST_ADDRESS}/${port}`,
      );
      assert.match(made.output, /^kvm-01$/m);
      assert.match(made.output, /\nkeptnew$/);
      await assert.rejects(machine.run("touch /usr/x"), /Read-only file system/);
      assert.equal((await machine.run("exit 7", { status: undefined })).status, 7);
      assert.deepEqual(said.join(""), " hello\n");

      const lost = assert.rejects(machine.run("echo going; touch waits; sleep 1000"), (error: Error) => {
        assert.ok(error instanceof MachineEnded);
        assert.match(error.message, /printed so far:\ngoing/);
        return true;
      });
      const both = await machine.run("until [ -e waits ]; do :; done; echo two at once");
      assert.equal(both.output, "two at once\n");
      await machine.kill();
      await lost;
      assert.deepEqual(processesOf(machine.dir), []);

      await machine.boot();
      const { output } = await machine.run("lvs --noheadings -o lv_name vg; head -c 4 /dev/vg/snap_one");
      assert.match(output, /^ *one *\n *snap_one *\nkept$/);
      await machine.shutdown();
    } finally {
      await machine.close();
      server.close();
    }
    assert.deepEqual(processesOf(machine.dir), []);
    assert.ok(!existsSync(machine.dir));
  });

  test("a panic ends it", async (t) => {
    if (!hasUml(t)) return;
    const machine = await Uml.create({ diskMib: 16, memoryMib: 128 });
    try {
      await machine.boot();
      await assert.rejects(machine.run("echo c >/proc/sysrq-trigger; sleep 60"), MachineEnded);
      assert.deepEqual(processesOf(machine.dir), []);
    } finally {
      await machine.close();
    }
  });

  test("a command that takes too long ends with its machine", async (t) => {
    if (!hasUml(t)) return;
    const machine = await Uml.create({ diskMib: 16, memoryMib: 128 });
    try {
      await machine.boot();
      await assert.rejects(
        machine.run("sleep 1000", { timeoutMs: 500 }),
        /after 500 ms the machine was killed/,
      );
      assert.deepEqual(processesOf(machine.dir), []);
    } finally {
      await machine.close();
    }
  });
});
