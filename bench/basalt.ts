/** Basalt in the benchmark: an installation on loopback, one job for each machine, Base for the reference. */
import { join } from "node:path";
import { ConsoleSession } from "../test/helpers/console-session.js";
import { DAEMONS, Installation } from "../test/helpers/installation.js";
import { findReport, reportSeconds } from "../test/helpers/job-report.js";
import { bytesBelow, measureDaemons, programVersion } from "./measure.js";
import type { BackupStep, Cost, Peer, PeerKind, Stored } from "./peer.js";

const LEVELS = { base: "Base", full: "Full", incremental: "Incremental" } as const;
const DONE = "the-step-is-over";

class Basalt implements Peer {
  readonly name = "basalt";
  readonly #dir: string;
  #machines: string[] = [];
  readonly #configured = new Map<string, string>();
  #installation: Installation | undefined;

  constructor(dir: string) {
    this.#dir = join(dir, "installation");
  }

  get #running(): Installation {
    if (!this.#installation) throw new Error("prepare() comes first");
    return this.#installation;
  }

  async prepare(machines: string[]): Promise<void> {
    this.#machines = machines;
    this.#installation = await Installation.create(this.#dir, { name: "bench" });
    await this.#installation.startAll();
  }

  /** A machine's job is known once its tree is: then the director reads its configuration again. */
  async #configure(machine: string, tree: string): Promise<void> {
    if (this.#configured.get(machine) === tree) return;
    const [reference] = this.#machines;
    const job = {
      Name: machine,
      JobDefs: "DefaultJob",
      Client: this.#running.client,
      FileSet: machine,
      Schedule: undefined,
    };
    const rest = machine === reference ? { Level: "Base" } : { Base: [machine, reference], Accurate: "yes" };
    const options = { Compression: "fast", OneFS: "no", Sparse: "yes" };
    await this.#running.writeResources(machine, {
      Job: [{ ...job, ...rest }],
      FileSet: [{ Name: machine, Include: [{ Root: tree, File: ["/"], Options: [options] }] }],
    });
    await this.#running.console(["reload"]);
    this.#configured.set(machine, tree);
  }

  async backup(step: BackupStep): Promise<Cost> {
    await this.#configure(step.machine, step.tree);
    return this.#run(`run job=${step.machine} level=${LEVELS[step.level]} yes`, /^Backup OK$/);
  }

  async restore(step: { machine: string; tree: string }, dest: string): Promise<Cost & { restored: string }> {
    const order = `restore client=${this.#running.client} fileset=${step.machine} where=${dest} select all done yes`;
    return { ...(await this.#run(order, /^Restore OK$/)), restored: dest };
  }

  async #run(order: string, good: RegExp): Promise<Cost> {
    const session = new ConsoleSession(join(this.#dir, "console.yaml"));
    try {
      session.send("messages", `@echo ${DONE}`);
      await session.waitFor(new RegExp(`^${DONE}`, "m"));
      const pids = Object.fromEntries(DAEMONS.map((daemon) => [daemon, this.#running.pid(daemon)]));
      return await measureDaemons(pids, async () => {
        const from = session.output.length;
        const start = performance.now();
        session.send(order, "wait", `@echo ${DONE}`);
        await session.waitFor(new RegExp(`^${DONE}`, "m"), { from });
        const wallSeconds = (performance.now() - start) / 1000;
        const reportedSeconds = await this.#checkReport(session, from, good);
        return { wallSeconds, reportedSeconds, cpuSeconds: 0, peakRssBytes: 0 };
      });
    } finally {
      await session.close();
    }
  }

  async #checkReport(session: ConsoleSession, from: number, good: RegExp): Promise<number> {
    session.send("messages");
    await session.waitFor(/^ {2}Termination:.*\n/m, { from, timeoutMs: 30_000 });
    const output = session.output.slice(from);
    const jobId = Number(/Job queued\. JobId=(\d+)/.exec(output)?.[1]);
    const report = findReport(output, jobId);
    if (!report || !good.test(report.termination)) throw new Error(`the job did not end well:\n${output}`);
    return reportSeconds(report);
  }

  async storedBytes(): Promise<Stored> {
    return {
      dataBytes: await bytesBelow(join(this.#dir, "storage")),
      catalogBytes: await bytesBelow(join(this.#dir, "var")),
    };
  }

  async close(): Promise<void> {
    await this.#installation?.stop();
  }
}

/** See the head of this file. */
export const BASALT: PeerKind = {
  name: "basalt",
  async describe() {
    const version = await programVersion("node", ["--version"]);
    return `basalt on node ${version}; zstd fast, Base jobs, mutual TLS`;
  },
  create: (dir) => new Basalt(dir),
};
