/**
 * Bacula with Base jobs, LZO and an SQLite catalog: its own three daemons in the foreground, as root, on loopback.
 *
 * Its Base jobs compare full names, so all machines must be seen under one: before each step the machine's tree is
 * bind-mounted there, outside of the measured time.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findReport, type JobReport, reportSeconds } from "../../test/helpers/job-report.js";
import { freePortBase, portAnswers } from "../../test/helpers/ports.js";
import { runProgram } from "../../test/helpers/tree-ops.js";
import { bytesBelow, measureCommand, measureDaemons, programVersion } from "../measure.js";
import type { BackupStep, Cost, Machine, Observed, Peer, PeerKind, Stored } from "../peer.js";
import { writeBaculaConfig } from "./bacula-config.js";

const LEVELS = { base: "Base", full: "Full", incremental: "Incremental" } as const;

/** Ends a daemon, gently at first; at once when it has ended by itself, or by a signal, before. */
export async function endDaemon(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  daemon.kill("SIGTERM");
  const timer = setTimeout(() => daemon.kill("SIGKILL"), 5000);
  await ended;
  clearTimeout(timer);
}

class Bacula implements Peer {
  readonly name = "bacula";
  readonly #dir: string;
  readonly #root: string;
  readonly #observed: Observed;
  #daemons: ChildProcess[] = [];
  #mounted = false;

  constructor(dir: string, observed: Observed) {
    this.#dir = dir;
    this.#observed = observed;
    this.#root = join(dir, "root");
  }

  async prepare(machines: readonly Machine[]): Promise<void> {
    const portBase = await freePortBase(3);
    await writeBaculaConfig({ dir: this.#dir, portBase, machines, root: this.#root });
    const programs: [string, number][] = [
      ["sd", 2],
      ["fd", 1],
      ["dir", 0],
    ];
    for (const [name, offset] of programs) {
      const args = ["-f", "-P", "-c", join(this.#dir, `${name}.conf`), "-u", "root", "-g", "root"];
      const log = openSync(join(this.#dir, "daemons.log"), "a");
      this.#daemons.push(spawn(`bacula-${name}`, args, { stdio: ["ignore", log, log] }));
      closeSync(log);
      await this.#waitFor(name, portBase + offset);
    }
  }

  async #waitFor(name: string, port: number): Promise<void> {
    for (let attempt = 0; attempt < 200; attempt++) {
      if (await portAnswers(port)) return;
      await sleep(100);
    }
    throw new Error(`bacula-${name} does not answer, see ${join(this.#dir, "daemons.log")}`);
  }

  async backup(step: BackupStep): Promise<Cost> {
    await this.#mount(step.machine.tree);
    return this.#run(`run job=${step.machine.name} level=${LEVELS[step.level]} yes`, "Backup OK");
  }

  async restore(machine: Machine, dest: string): Promise<Cost & { restored: string }> {
    const order = `restore client=${machine.name}-fd fileset=Tree where=${dest} current select all done yes`;
    return { ...(await this.#run(order, "Restore OK")), restored: join(dest, this.#root) };
  }

  async #run(order: string, good: string): Promise<Cost & { report: JobReport }> {
    const pids = Object.fromEntries(this.#daemons.map((daemon) => [daemon.spawnfile, daemon.pid ?? 0]));
    const command = ["bconsole", "-n", "-c", join(this.#dir, "console.conf")];
    await measureCommand(command, { input: "messages\nquit\n" });
    return measureDaemons(this.name, this.#observed, pids, async () => {
      const cost = await measureCommand(command, { input: `${order}\nwait\nmessages\nquit\n` });
      const jobId = /^Job queued\. JobId=(\d+)/m.exec(cost.output)?.[1];
      const report = findReport(cost.output, Number(jobId));
      if (report?.termination !== good) throw new Error(`${order}: ${cost.output.slice(-4000)}`);
      return { ...cost, reportedSeconds: reportSeconds(report), report };
    });
  }

  async #mount(tree: string): Promise<void> {
    await this.#unmount();
    await runProgram("mount", ["--bind", tree, this.#root]);
    this.#mounted = true;
  }

  async #unmount(): Promise<void> {
    if (this.#mounted) await runProgram("umount", [this.#root]);
    this.#mounted = false;
  }

  async storedBytes(): Promise<Stored> {
    return {
      dataBytes: await bytesBelow(join(this.#dir, "volumes")),
      catalogBytes: await bytesBelow(join(this.#dir, "work", "bacula.db")),
    };
  }

  async close(): Promise<void> {
    for (const daemon of this.#daemons.toReversed()) await endDaemon(daemon);
    this.#daemons = [];
    await this.#unmount();
  }
}

/** See the head of this file. */
export const BACULA: PeerKind = {
  name: "bacula",
  async describe() {
    if (process.getuid?.() !== 0 || !existsSync("/usr/sbin/bacula-dir")) return undefined;
    const version = await programVersion("dpkg-query", ["-W", "bacula-director"]);
    return (
      version && `${version.replace("\t", " ")}; LZO, Base jobs and Accurate comparing pugsm, SQLite catalog`
    );
  },
  create: (dir, observed) => new Bacula(dir, observed),
};
