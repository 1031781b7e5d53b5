/** Against the real programs: QEMU's guest agent on a loop mount, QEMU's monitor, libvirt. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { asRoot, skipWithout } from "../../common/test-needs.js";
import { endOf } from "../../test/helpers/program.js";
import { until } from "../../test/helpers/running.js";
import { whileFrozen } from "./freeze.js";
import { freezeSettings, reporter } from "./testing.js";

const BLOCKED = "guest-fsfreeze-freeze,guest-shutdown,guest-exec,guest-set-user-password";

function program(t: TestContext, command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: "ignore" });
  t.after(async () => {
    if (child.exitCode !== null || child.pid === undefined) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  });
  return child;
}

function hasProgram(t: TestContext, name: string): boolean {
  const found = ["/usr/sbin", "/usr/bin"].some((directory) => existsSync(join(directory, name)));
  if (!found) skipWithout(name, t);
  return found;
}

/** An ext4 of its own, and a guest agent that runs on this machine. */
async function hostAgent(t: TestContext): Promise<{ mount: string; socket: string } | undefined> {
  if (!asRoot(t) || !hasProgram(t, "qemu-ga")) return undefined;
  const directory = scratchDirectory("qemu-ga");
  const mount = join(directory, "mnt");
  mkdirSync(mount);
  execFileSync("truncate", ["-s", "16M", join(directory, "disk")]);
  execFileSync("mkfs.ext4", ["-q", join(directory, "disk")]);
  try {
    execFileSync("mount", ["-o", "loop", join(directory, "disk"), mount], { stdio: "pipe" });
  } catch {
    skipWithout("loop mounts", t);
    return undefined;
  }
  t.after(() => {
    spawn("fsfreeze", ["-u", mount], { stdio: "ignore" });
    execFileSync("umount", [mount]);
  });
  const socket = join(directory, "agent.sock");
  const log = join(directory, "log");
  program(t, "qemu-ga", ["-m", "unix-listen", "-p", socket, "-t", directory, "-l", log, "-b", BLOCKED]);
  await until("the agent's socket", () => existsSync(socket));
  return { mount, socket };
}

test("a real guest agent: a writer waits until the thaw", async (t) => {
  const agent = await hostAgent(t);
  if (agent === undefined) return;
  const { said, report } = reporter();
  const settings = freezeSettings({ agentSocket: agent.socket, fileSystems: [agent.mount] });
  const written = join(agent.mount, "written");
  let writing: Promise<unknown> | undefined;
  const result = await whileFrozen("vm-1", settings, { report }, async () => {
    writing = endOf("sh", ["-c", `echo 1 > ${written}`]);
    const winner = await Promise.race([
      writing,
      new Promise((resolve) => setTimeout(resolve, 700, "waiting")),
    ]);
    assert.equal(winner, "waiting");
    assert.equal(existsSync(written), false);
  });
  await writing;
  assert.equal(existsSync(written), true);
  // The rest of this machine was not frozen.
  assert.deepEqual(result, { value: undefined, confirmed: false, how: "guest" });
  assert.match(said[0]!, /has frozen 1 file systems/);
  assert.match(said[1]!, /has thawed 1 file systems/);
});

test("an agent on this machine is neither frozen as a whole nor at the machine's own root", async (t) => {
  const agent = await hostAgent(t);
  if (agent === undefined) return;
  const { said, report } = reporter();
  const settings = freezeSettings({ agentSocket: agent.socket });
  for (const fileSystems of [[], ["/"], [agent.mount, "/usr"]])
    assert.equal(
      (await whileFrozen("vm-1", { ...settings, fileSystems }, { report }, async () => 1)).how,
      "no",
    );
  const held = said.filter((line) => line.startsWith("not held"));
  assert.match(held[0]!, /the machine that makes backups is never frozen as a whole/);
  assert.match(held[1]!, /it runs on this machine, which needs \/ itself/);
  assert.match(held[2]!, /needs \/usr itself/);
});

test("a real QEMU is paused, and goes on", async (t) => {
  if (!hasProgram(t, "qemu-system-x86_64")) return;
  const socket = join(scratchDirectory("qmp"), "qmp.sock");
  const monitor = `unix:${socket},server=on,wait=off`;
  program(t, "qemu-system-x86_64", ["-M", "none", "-nodefaults", "-display", "none", "-qmp", monitor]);
  await until("the monitor's socket", () => existsSync(socket));
  const { said, report } = reporter();
  const settings = freezeSettings({ methods: ["qmp"], qmpSocket: socket });
  const work = (): Promise<number> => Promise.resolve(1);
  assert.deepEqual(await whileFrozen("vm-1", settings, { report }, work), {
    value: 1,
    confirmed: false,
    how: "paused",
  });
  assert.equal(said[0], "the machine is paused");
  assert.match(said[1]!, /^the machine goes on, after/);
  // Within each other: the inner one finds the machine standing still, and leaves it so.
  const outer = await whileFrozen("vm-1", settings, { report }, () =>
    whileFrozen("vm-1", settings, { report }, work),
  );
  assert.equal(outer.value.how, "paused");
  assert.equal(outer.how, "paused");
  assert.ok(said.includes("the machine does not run (paused)"));
});

test("real libvirt pauses a machine, and refuses to freeze one without an agent", async (t) => {
  if (!asRoot(t) || !hasProgram(t, "virsh") || !hasProgram(t, "libvirtd")) return;
  const directory = scratchDirectory("libvirt");
  // As root libvirt has one daemon for the whole machine; another user has one of its own.
  execFileSync("chown", ["nobody", directory]);
  execFileSync("chmod", ["711", directory]);
  const virsh = join(directory, "virsh");
  const user = `env HOME=${directory} XDG_RUNTIME_DIR=${directory} XDG_CONFIG_HOME=${directory} XDG_CACHE_HOME=${directory}`;
  writeFileSync(virsh, `#!/bin/sh\nexec runuser -u nobody -- ${user} virsh "$@"\n`, { mode: 0o755 });
  const xml = join(directory, "vm.xml");
  const machine = "<memory unit='MiB'>16</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>";
  writeFileSync(xml, `<domain type='qemu'><name>vm-1</name>${machine}<devices/></domain>`);
  const uri = "qemu:///session";
  const call = (...args: string[]): string =>
    execFileSync(virsh, ["--connect", uri, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => {
    execFileSync(
      "sh",
      ["-c", `"${virsh}" -c ${uri} destroy vm-1; kill $(cat ${directory}/libvirt/libvirtd.pid)`],
      {
        stdio: "ignore",
      },
    );
  });
  call("define", xml);
  call("start", "vm-1");
  const settings = freezeSettings({ methods: ["libvirt", "libvirt-pause"], virsh, libvirtUri: uri });
  const { said, report } = reporter();
  const result = await whileFrozen("vm-1", settings, { report }, async () => call("domstate", "vm-1").trim());
  assert.deepEqual(result, { value: "paused", confirmed: false, how: "paused" });
  assert.equal(call("domstate", "vm-1").trim(), "running");
  assert.match(said[0]!, /not held by libvirt: virsh qemu-agent-command vm-1: .*agent/i);
  assert.equal(said[1], "libvirt has paused the machine");
});
