/**
 * Machines with a kernel of their own: User Mode Linux, for what the kernel of a test machine need not have, such as
 * real LVM. The host's files are the machine's root, read-only, so that nothing it does can harm the host; one directory is
 * shared, under the same path on both sides, and its disk is a sparse image file in it. It has one processor, and starting a
 * program takes 45 ms there.
 *
 * A machine is a process namespace: whatever ends its first process, be it kill(), close() or the death of the test's own
 * process, ends all of it. uml-init.sh is the other side.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fail, raw } from "../../common/sys/native.js";
import { type Skippable, skipWithout } from "../../common/test-needs.js";
import { REPOSITORY } from "../helpers/root.js";
import { runProgram } from "../helpers/tree-ops.js";

export interface UmlOptions {
  /** (Default: 512) */
  memoryMib?: number;
  /** Size of /dev/ubda. (Default: 1024) */
  diskMib?: number;
  /** Name of the machine, which is also what `hostname` says. (Default: kvm-01) */
  host?: string;
  /** Kernel modules. (Default: LVM's with both kinds of snapshots, and loop) */
  modules?: readonly string[];
  /** Address with prefix length, in the namespace of `joinTestNetwork`. (Default: no network) */
  address?: string;
}

/** How a command in the machine ended. */
export interface UmlResult {
  status: number;
  /** Both streams. */
  output: string;
}

export interface RunIn {
  /** After this the whole machine is killed and run() rejects. (Default: 300,000) */
  timeoutMs?: number;
  /** Exit status that is expected; undefined: any. (Default: 0) */
  status?: number | undefined;
}

/** The machine's end was not asked for by the call that rejects with this. */
export class MachineEnded extends Error {}

/** Address of the host in the namespace of a test, in the net of its machines. */
export const HOST_ADDRESS = "198.18.0.1";
export const MACHINE_ADDRESS = "198.18.0.2/24";

const PROGRAMS = ["linux.uml", "modprobe", "lvm", "thin_check", "unshare", "setpriv", "ip"];
const MODULES = ["dm-snapshot", "dm-thin-pool", "loop"];
const BOOT_MS = 300_000;
const POLL_MS = 30;
/** A kernel that panics ends itself by a signal, which the first process of a namespace would not get. */
const FIRST_PROCESS = ["sh", "-c", 'linux.uml "$@"; exit $?', "machine"];
const TAP = "tap0";
const SYS_UNSHARE = 272;
const CLONE_NEWNET = 0x40000000;

/** What machines lack here; empty: nothing. */
export function missingForUml(): string {
  if (process.geteuid?.() !== 0) return "root";
  const path = (process.env.PATH ?? "").split(":").concat("/usr/sbin", "/sbin");
  const missing = PROGRAMS.filter((name) => !path.some((directory) => existsSync(join(directory, name))));
  return missing.join(", ");
}

/** True when machines can run here; else as `skipWithout`. @throws Error */
export function hasUml(test: Skippable): boolean {
  const missing = missingForUml();
  if (missing !== "") skipWithout(missing, test);
  return missing === "";
}

function childrenOf(pid: number): number[] {
  try {
    const list = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return list.split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

/**
 * Puts this process and all that it starts from now on into a network namespace of their own, with loopback and the line to
 * one machine, whose `address` is then MACHINE_ADDRESS. Nothing of it is left when they have ended. To be called
 * before anything listens or connects. @throws SysError when this is not root
 */
export async function joinTestNetwork(): Promise<void> {
  // The namespace is the calling thread's: all sockets of the process and all its children come from this one.
  if (raw.syscall3(SYS_UNSHARE, CLONE_NEWNET, 0, 0) < 0) throw fail("unshare");
  await runProgram("ip", ["link", "set", "lo", "up"]);
  await runProgram("ip", ["tuntap", "add", "dev", TAP, "mode", "tap"]);
  await runProgram("ip", ["addr", "add", `${HOST_ADDRESS}/24`, "dev", TAP]);
  await runProgram("ip", ["link", "set", TAP, "up"]);
}

/** See the head of this file. Call close() in the end. */
export class Uml {
  /** Shared with the machine; files of this class in it: run.N, out.N, rc.N, disk.img, console, booted, poweroff. */
  readonly dir: string;
  readonly #options: UmlOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #count = 0;

  private constructor(dir: string, options: UmlOptions) {
    this.dir = dir;
    this.#options = options;
  }

  /** Makes disk and shared directory; the machine is off. */
  static async create(options: UmlOptions = {}): Promise<Uml> {
    const dir = await mkdtemp(join(tmpdir(), "basalt-uml-"));
    await writeFile(join(dir, "disk.img"), "");
    await truncate(join(dir, "disk.img"), (options.diskMib ?? 1024) * 1024 * 1024);
    return new Uml(dir, options);
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  /** Starts the machine on the disk as it is, and waits until it takes commands. Volume groups are active then. */
  async boot(): Promise<void> {
    if (this.#child !== undefined) throw new Error("the machine runs already");
    for (const name of ["booted", "poweroff"]) rmSync(this.path(name), { force: true });
    for (let n = 1; n <= this.#count; n++)
      for (const name of ["run", "out", "rc"]) rmSync(this.path(`${name}.${n}`), { force: true });
    this.#count = 0;
    await mkdir(this.path("uml"), { recursive: true });
    const log = openSync(this.path("console"), "w");
    const words = ["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", ...FIRST_PROCESS];
    const env = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
    const child = spawn("setpriv", [...words, ...this.#kernelLine()], { env, stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("close", () => resolve());
      child.once("error", () => resolve());
    });
    void this.#ended.then(() => {
      if (this.#child === child) this.#child = undefined;
    });
    await this.#until("booted", BOOT_MS, () => existsSync(this.path("booted")));
  }

  #kernelLine(): string[] {
    const { memoryMib = 512, host = "kvm-01", modules = MODULES, address } = this.#options;
    return [
      ...[`mem=${memoryMib}M`, "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"],
      ...[`ubd0=${this.path("disk.img")}`, `uml_dir=${this.path("uml")}`, "umid=m"],
      ...["quiet", "loglevel=1", "con=null", "con0=null,fd:2", "random.trust_cpu=on"],
      ...(address === undefined ? [] : [`vec0:transport=tap,ifname=${TAP},depth=128,gro=1`]),
      `init=${join(REPOSITORY, "test", "lvm", "uml-init.sh")}`,
      ...[`shared=${this.dir}`, `modules=${modules.join(",")}`, `host=${host}`],
      ...(address === undefined ? [] : [`address=${address}`]),
    ];
  }

  /**
   * Runs a bash script in the machine, as root, in the shared directory. Several may run at the same time; what one leaves
   * in the background goes on, but must let go of standard output. @throws MachineEnded; Error for another exit status
   */
  async run(script: string, options: RunIn = {}): Promise<UmlResult> {
    const n = ++this.#count;
    await writeFile(this.path(`run.${n}.new`), `${script}\n`);
    await rename(this.path(`run.${n}.new`), this.path(`run.${n}`));
    const read = (name: string): string => {
      const file = this.path(`${name}.${n}`);
      return existsSync(file) ? readFileSync(file, "utf8") : "";
    };
    await this.#until(`the end of:\n${script}\n`, options.timeoutMs ?? 300_000, () =>
      read("rc").endsWith("\n"),
    ).catch((error: Error) => {
      error.message += `\nprinted so far:\n${read("out")}`;
      throw error;
    });
    const result = { status: Number(read("rc")), output: read("out") };
    const expected = "status" in options ? options.status : 0;
    if (expected !== undefined && result.status !== expected)
      throw new Error(`status ${result.status} in place of ${expected} of:\n${script}\n${result.output}`);
    return result;
  }

  /** Kills the machine as a power failure would: what was not synced is lost. It can boot again. */
  async kill(): Promise<void> {
    const pid = this.#child?.pid;
    // Its end is the end of all processes in the namespace; that of `unshare` would only be a signal to it.
    const first = pid === undefined ? [] : childrenOf(pid);
    if (first.length === 0) this.#child?.kill("SIGKILL");
    for (const each of first) killIfThere(each);
    await this.#ended;
  }

  /** Ends it in order, which takes up to a second; kills it when it does not. It can boot again. */
  async shutdown(): Promise<void> {
    if (this.#child === undefined) return;
    await writeFile(this.path("poweroff"), "");
    await Promise.race([this.#ended, sleep(30_000, undefined, { ref: false })]);
    await this.kill();
  }

  /** Ends it at once and removes disk and shared directory. */
  async close(): Promise<void> {
    await this.kill();
    if (process.env.BASALT_KEEP) console.log(`kept ${this.dir}`);
    else await rm(this.dir, { recursive: true, force: true });
  }

  /** What the kernel and the first process have said. */
  get console(): string {
    return readFileSync(this.path("console"), "utf8");
  }

  async #until(what: string, timeoutMs: number, check: () => boolean): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!check()) {
      if (this.#child === undefined)
        throw new MachineEnded(`the machine has ended before: ${what}\n${this.console}`);
      if (performance.now() > deadline) {
        await this.kill();
        throw new Error(`after ${timeoutMs} ms the machine was killed; waited for: ${what}\n${this.console}`);
      }
      await sleep(POLL_MS);
    }
  }
}
