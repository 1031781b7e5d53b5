/**
 * One run of QEMU, from power-on to power-off. The machine has one disk, a serial console, and nothing of the host's but
 * what it is given. Words: QEMU's documentation, "Invocation".
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describeFailure, runCommand } from "../../common/exec.js";
import { programEnvironment } from "../hooks/hooks.js";
import type { ConsoleLog } from "./console-log.js";
import { type BuildTools, timeLeft } from "./programs.js";
import type { KernelSettings, MachineSettings } from "./settings.js";

export interface VirtualMachine {
  machine: MachineSettings;
  /** A raw image. */
  disk: string;
  /** What the machine writes is thrown away. */
  throwAway: boolean;
  /** Undefined: the disk's own boot loader is started. */
  boot?: (KernelSettings & { append: string }) | undefined;
  /** The machine reaches the outside, and this host's loopback as 10.0.2.2. */
  network: boolean;
  /** Unix socket for the guest agent. */
  agentSocket?: string | undefined;
  /** Where what is thrown away lies meanwhile. */
  scratch: string;
}

const MIB = 1024 ** 2;
const STATE_MS = 10_000;

/**
 * Starts it and waits until it is off. `limitMs`: at most, besides the build's own limit.
 * @throws BackupError REFERENCE_FAILED, REFERENCE_TIMEOUT, EXEC_FAILED; the signal's reason
 */
export async function runMachine(
  vm: VirtualMachine,
  console: ConsoleLog,
  tools: BuildTools & { doing: string },
  limitMs = Number.POSITIVE_INFINITY,
): Promise<void> {
  const { name, report, signal, state, doing } = tools;
  const timeoutMs = Math.min(timeLeft(tools), limitMs);
  const failed = (code: string, text: string) => console.failure(code, text, tools);
  let said = "";
  const onLine = (line: string): void => {
    said = line;
    report("info", `Reference ${name}: qemu: ${line}`);
  };
  const told = setInterval(() => {
    const [line] = console.lastLines(1);
    if (line !== undefined) state(`${doing}: ${line.slice(0, 100)}`);
  }, STATE_MS);
  const directory = await mkdtemp(path.join(tmpdir(), "basalt-qemu-"));
  try {
    const secret = path.join(directory, "machine");
    await writeFile(secret, machineConfig(vm), { mode: 0o600 });
    const env = { ...programEnvironment(), TMPDIR: vm.scratch };
    const run = { words: qemuWords(vm, secret), env, timeoutMs, signal, cwd: "/", maxLines: 100 };
    const result = await runCommand({ ...run, onLine, onOutput: console.take });
    signal.throwIfAborted();
    if (result.timedOut)
      throw failed(
        "REFERENCE_TIMEOUT",
        `it did not power off within ${Math.round(timeoutMs / 1000)} seconds`,
      );
    const failure = describeFailure(result, timeoutMs);
    if (failure !== undefined) throw failed("REFERENCE_FAILED", `QEMU: ${said || failure}`);
    if (console.panicked) throw failed("REFERENCE_FAILED", "its kernel has panicked");
  } finally {
    clearInterval(told);
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * What of the machine is in a file that only its owner reads: everybody sees command lines of processes, and a kernel's may
 * hold where a kickstart file is served, or a password.
 */
export function machineConfig({ boot }: Pick<VirtualMachine, "boot">): string {
  return boot === undefined ? "" : `[machine]\n  append = "${boot.append}"\n`;
}

/** The command line. `config`: the file with the rest. */
export function qemuWords(vm: VirtualMachine, config: string): string[] {
  const { machine, boot, network, agentSocket } = vm;
  const drive = `file=${value(vm.disk)},format=raw,if=none,id=disk,cache=unsafe,discard=unmap`;
  return [
    ...["qemu-system-x86_64", "-no-user-config", "-nodefaults", "-no-reboot", "-display", "none"],
    ...["-M", "pc", "-cpu", "max", ...accelWords(machine.accel)],
    ...["-m", `${Math.max(1, Math.round(machine.memoryBytes / MIB))}`, "-smp", `${machine.processors}`],
    ...["-sandbox", "on,obsolete=deny,spawn=deny,resourcecontrol=deny"],
    ...(process.geteuid?.() === 0 ? ["-runas", "nobody"] : []),
    ...["-device", "virtio-rng-pci", "-serial", "stdio"],
    ...["-drive", vm.throwAway ? `${drive},snapshot=on` : drive, "-device", "virtio-blk-pci,drive=disk"],
    ...(network ? ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="] : []),
    ...(agentSocket === undefined ? [] : agentWords(agentSocket)),
    ...(boot === undefined ? [] : ["-kernel", boot.kernel, "-readconfig", config]),
    ...(boot?.initrd === undefined ? [] : ["-initrd", boot.initrd]),
  ];
}

/** QEMU takes the first one that works. */
function accelWords(accel: MachineSettings["accel"]): string[] {
  const kvm = ["-accel", "kvm"];
  const tcg = ["-accel", "tcg,thread=multi"];
  return accel === "auto" ? [...kvm, ...tcg] : accel === "kvm" ? kvm : tcg;
}

function agentWords(socket: string): string[] {
  return [
    ...["-device", "virtio-serial", "-chardev", `socket,path=${value(socket)},server=on,wait=off,id=agent`],
    ...["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
  ];
}

/** In a list of options a comma is written twice. */
function value(text: string): string {
  return text.replaceAll(",", ",,");
}
