/** Basalt in the benchmark: an installation on loopback, one job for each machine, Base for the reference. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConsoleSession } from "../test/helpers/console-session.js";
import { DAEMONS, type Daemon, Installation } from "../test/helpers/installation.js";
import { findReport, reportSeconds } from "../test/helpers/job-report.js";
import { type LatencyProxy, startLatencyProxy } from "./latency-proxy.js";
import { beginCost, bytesBelow, measureDaemons, programVersion } from "./measure.js";
import {
  type BackupStep,
  type Cost,
  IMAGE_NAME,
  type Machine,
  type Observed,
  type Peer,
  type PeerKind,
  type Stored,
} from "./peer.js";
import type { Traced } from "./trace.js";

const LEVELS = { base: "Base", full: "Full", incremental: "Incremental" } as const;
const DONE = "the-step-is-over";
/** The machine of this name is what the others are based on. */
const REFERENCE = "reference";
/** A job of a million files or a limited one may take long. */
const PATIENCE_MS = 3 * 3600_000;

/** What is special about an installation. */
export interface BasaltOptions {
  /** (Default: basalt) */
  name?: string;
  /** All connections between the daemons go through a proxy that adds half of this each way. (Default: no proxy) */
  roundTripMs?: number;
  /** Further directives of all jobs. */
  job?: Record<string, unknown>;
}

/** Where the daemons of an installation leave the CPU profiles of a step, each in a directory of its own. */
export function profileFolder(dir: string, { repetition, tool, step }: Traced): string {
  const [toolName, stepName] = [tool, step].map((name) => name.replace(/[^\w]+/g, "-"));
  return join(dir, toolName!, String(repetition + 1), stepName!);
}

/** See the head of this file. */
export class Basalt implements Peer {
  readonly name: string;
  readonly #dir: string;
  readonly #observed: Observed;
  readonly #options: BasaltOptions;
  #reference: string | undefined;
  readonly #proxies: LatencyProxy[] = [];
  #installation: Installation | undefined;

  constructor(dir: string, observed: Observed, options: BasaltOptions = {}) {
    this.#dir = join(dir, "installation");
    this.#observed = observed;
    this.#options = options;
    this.name = options.name ?? "basalt";
  }

  get #running(): Installation {
    if (!this.#installation) throw new Error("prepare() comes first");
    return this.#installation;
  }

  /** Process id of a daemon. */
  pid(daemon: Daemon): number {
    return this.#running.pid(daemon);
  }

  async prepare(machines: readonly Machine[]): Promise<void> {
    this.#reference = machines.find(({ name }) => name === REFERENCE)?.name;
    this.#installation = await Installation.create(this.#dir, { name: "bench" });
    if (this.#options.roundTripMs !== undefined) await this.#addProxies(this.#options.roundTripMs / 2);
    await this.#installation.startAll();
    for (const machine of machines) await this.#configure(machine);
  }

  /** The director tells everybody addresses at which the proxies listen: those of filed and of storaged. */
  async #addProxies(delayMs: number): Promise<void> {
    const { portBase } = this.#running;
    for (const port of [portBase + 1, portBase + 2]) {
      const proxy = await startLatencyProxy(port, delayMs);
      this.#proxies.push(proxy);
      await this.#running.editConfig("director", (text) =>
        text.replace(new RegExp(`Port: ${port}\\b`), `Port: ${proxy.port}`),
      );
    }
  }

  #level({ name, kind }: Machine): Record<string, unknown> {
    if (kind === "image" || this.#reference === undefined) return { Level: "Full" };
    return name === this.#reference ? { Level: "Base" } : { Base: [name, this.#reference], Accurate: "yes" };
  }

  async #configure(machine: Machine): Promise<void> {
    const { name, kind, tree } = machine;
    const job = {
      ...{
        Name: name,
        JobDefs: "DefaultJob",
        Client: this.#running.client,
        FileSet: name,
        Schedule: undefined,
      },
      ...this.#options.job,
    };
    const level = this.#level(machine);
    const include =
      kind === "tree"
        ? { Root: tree, File: ["/"], Options: [{ OneFS: "no", Sparse: "yes" }] }
        : { Image: [join(tree, IMAGE_NAME)] };
    await this.#running.writeResources(name, {
      Job: [{ ...job, ...level }],
      FileSet: [{ Name: name, Include: [include] }],
    });
    await this.#running.console(["reload"]);
  }

  /** Starts the daemons anew under the profiler, through a `node` that comes first in their PATH. */
  async #profile(into: string): Promise<void> {
    const bin = join(this.#dir, "profiled");
    mkdirSync(bin, { recursive: true });
    const flags = '--cpu-prof --cpu-prof-interval=500 --cpu-prof-dir="$PROFILE_INTO"';
    writeFileSync(join(bin, "node"), `#!/bin/sh\nexec "${process.execPath}" ${flags} "$@"\n`);
    chmodSync(join(bin, "node"), 0o755);
    await this.#running.stop();
    for (const daemon of DAEMONS) {
      const env = [`PATH=${bin}:${process.env.PATH}`, `PROFILE_INTO=${join(into, daemon)}`];
      await this.#running.start(daemon, ["env", ...env]);
    }
    await this.#running.waitReady();
  }

  backup({ machine, level }: BackupStep): Promise<Cost> {
    return this.#run(`run job=${machine.name} level=${LEVELS[level]} yes`, /^Backup OK$/);
  }

  async restore(machine: Machine, dest: string): Promise<Cost & { restored: string }> {
    const order = `restore client=${this.#running.client} fileset=${machine.name} where=${dest} select all done yes`;
    return { ...(await this.#run(order, /^Restore OK$/)), restored: dest };
  }

  async #run(order: string, good: RegExp): Promise<Cost> {
    const { profileDir, repetition, step } = this.#observed;
    if (profileDir === undefined) return this.#measured(order, good);
    await this.#profile(profileFolder(profileDir, { repetition, tool: this.name, step }));
    try {
      return await this.#measured(order, good);
    } finally {
      await this.#running.stop();
      await this.#running.startAll();
    }
  }

  async #measured(order: string, good: RegExp): Promise<Cost> {
    const session = new ConsoleSession(join(this.#dir, "console.yaml"));
    try {
      session.send("messages", `@echo ${DONE}`);
      await session.waitFor(new RegExp(`^${DONE}`, "m"));
      const pids = Object.fromEntries(DAEMONS.map((daemon) => [daemon, this.#running.pid(daemon)]));
      return await measureDaemons(this.name, this.#observed, pids, async () => {
        const from = session.output.length;
        const consoleCost = beginCost(session.pid);
        const start = performance.now();
        session.send(order, "wait", `@echo ${DONE}`);
        await session.waitFor(new RegExp(`^${DONE}`, "m"), { from, timeoutMs: PATIENCE_MS });
        const wallSeconds = (performance.now() - start) / 1000;
        const own = consoleCost();
        const reportedSeconds = await this.#checkReport(session, from, good);
        return { wallSeconds, reportedSeconds, ...own };
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
    try {
      await this.#installation?.stop();
    } finally {
      for (const proxy of this.#proxies.splice(0)) await proxy.close();
    }
  }
}

/** A kind of Basalt; see BasaltOptions. */
export function basaltKind(options: BasaltOptions = {}): PeerKind {
  return {
    name: options.name ?? "basalt",
    async describe() {
      const version = await programVersion("node", ["--version"]);
      return `basalt on node ${version}; compression auto (zstd 1), Base jobs, mutual TLS`;
    },
    create: (dir, observed) => new Basalt(dir, observed, options),
  };
}

/** As an operator would set it up. */
export const BASALT: PeerKind = basaltKind();
