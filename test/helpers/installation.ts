/**
 * A whole installation of Basalt in a directory of its own, for tests, the demonstration and the benchmark: made
 * by `basalt init`, three real daemons on loopback, driven through the console as an operator drives it.
 *
 * The owner calls stop() when done; daemons left over are killed when the process ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { findReport, type JobReport } from "./job-report.js";
import { KeptConsole } from "./kept-console.js";
import { freePortBase, portAnswers } from "./ports.js";
import { REPOSITORY } from "./root.js";
import { runProgram } from "./tree-ops.js";

/** The three programs of an installation. */
export type Daemon = "director" | "filed" | "storaged";

/** In the order in which they are started; they are stopped in the reverse. */
export const DAEMONS: readonly Daemon[] = ["storaged", "filed", "director"];

/** How long a daemon may take to start or to end, on a machine that has much else to do. */
export const DAEMON_MS = 300_000;

const PORT_OFFSET: Record<Daemon, number> = { director: 0, filed: 1, storaged: 2 };
const BASALT = join(REPOSITORY, "basalt");

/** Resources by kind: `{Job: [{Name: "a", …}], FileSet: [...]}`, as in YAML. */
export type Resources = Record<string, Record<string, unknown>[]>;

/** What to restore and where to. */
export interface RestoreOptions {
  /** Absolute directory that the files come below. */
  where: string;
  /** Exactly the entries of these jobs. Without it the newest state of client and FileSet. */
  jobIds?: number[];
  /** (Default: the installation's own file daemon) */
  client?: string;
  fileSet?: string;
  /** State as of this time, "YYYY-MM-DD HH:MM:SS". */
  before?: string;
  /** Full names as stored. (Default: everything) */
  files?: string[];
  /** Further words for the command, such as `replace=never`. */
  words?: string;
  timeoutMs?: number;
}

/** A console command's value, quoted when it needs to be. */
export function quoteValue(value: string): string {
  return /^[\w./:-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** All of this process: daemons that are left over are killed when it ends. */
const installations = new Set<Installation>();
const killAll = (): void => {
  for (const installation of installations) installation.killNow();
};

/** See the head of this file. */
export class Installation {
  readonly dir: string;
  /** Port of the director; filed and storaged have the next two. */
  readonly portBase: number;
  /** Start of all names: `NAME-dir`, `NAME-fd`, `NAME-sd`. */
  readonly name: string;
  readonly #running = new Map<Daemon, ChildProcess>();
  /** (Default: each call of console() starts one of its own) */
  #kept: KeptConsole | undefined;

  private constructor(dir: string, portBase: number, name: string) {
    this.dir = dir;
    this.portBase = portBase;
    this.name = name;
    if (installations.size === 0) process.once("exit", killAll);
    installations.add(this);
  }

  /** Runs `basalt init` in `dir`, which need not exist. Nothing is started yet. */
  static async create(
    dir: string,
    options: { portBase?: number; name?: string } = {},
  ): Promise<Installation> {
    const name = options.name ?? "test";
    const portBase = options.portBase ?? (await freePortBase(3));
    await runProgram(BASALT, ["init", dir, "--name", name, "--port-base", String(portBase)]);
    await mkdir(join(dir, "log"), { recursive: true });
    return new Installation(dir, portBase, name);
  }

  /** An installation that is there already, made by create() with the same name and port. Nothing is started. */
  static open(dir: string, options: { portBase: number; name?: string }): Installation {
    return new Installation(dir, options.portBase, options.name ?? "test");
  }

  /** Name of the file daemon's Client resource. */
  get client(): string {
    return `${this.name}-fd`;
  }

  /** Writes `conf.d/FILE.yaml`, which the director reads when it starts or reloads. */
  async writeResources(file: string, resources: Resources): Promise<void> {
    await writeFile(join(this.dir, "conf.d", `${file}.yaml`), stringify(resources));
  }

  /** Changes one of the four YAML files as text. Throws when the change leaves it as it was. */
  async editConfig(file: Daemon | "console", change: (text: string) => string): Promise<void> {
    const path = join(this.dir, `${file}.yaml`);
    const before = await readFile(path, "utf8");
    const after = change(before);
    if (after === before) throw new Error(`the edit of ${path} changes nothing`);
    await writeFile(path, after);
  }

  /**
   * Starts one daemon and waits until it answers on its port. `through` is a program with its arguments that carries
   * out the rest of its command line, such as one that drops privileges.
   */
  async start(daemon: Daemon, through: readonly string[] = []): Promise<void> {
    if (this.#running.has(daemon)) throw new Error(`${daemon} runs already`);
    const log = openSync(this.#logFile(daemon), "a");
    const [program, ...args] = [...through, BASALT, daemon, "-c", join(this.dir, `${daemon}.yaml`)];
    const child = spawn(program ?? BASALT, args, { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#running.set(daemon, child);
    child.on("exit", () => {
      if (this.#running.get(daemon) === child) this.#running.delete(daemon);
    });
    const port = this.portBase + PORT_OFFSET[daemon];
    const deadline = Date.now() + DAEMON_MS;
    while (!(await portAnswers(port))) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`${daemon} ended at once:\n${this.log(daemon)}`);
      if (Date.now() > deadline)
        throw new Error(`${daemon} does not answer on ${port}:\n${this.log(daemon)}`);
      await sleep(50);
    }
  }

  /** Starts all three daemons and waits until a console can use them. */
  async startAll(): Promise<void> {
    for (const daemon of DAEMONS) await this.start(daemon);
    await this.waitReady();
  }

  /** Waits until the director answers a console command. */
  async waitReady(timeoutMs = DAEMON_MS): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      try {
        await this.console(["version"], 90_000);
        return;
      } catch (error) {
        if (!this.#running.has("director") || Date.now() > deadline) throw error;
        await sleep(100);
      }
    }
  }

  /** From now on console() uses one console again and again, until the director is stopped. */
  keepConsole(): void {
    this.#kept ??= new KeptConsole(join(this.dir, "console.yaml"));
  }

  /** Process id of a running daemon. */
  pid(daemon: Daemon): number {
    const pid = this.#running.get(daemon)?.pid;
    if (pid === undefined) throw new Error(`${daemon} does not run`);
    return pid;
  }

  /** Sends a signal. SIGHUP returns at once, any other one when the daemon has ended; gives its exit status. */
  async kill(daemon: Daemon, signal: NodeJS.Signals = "SIGKILL"): Promise<number | undefined> {
    const child = this.#running.get(daemon);
    if (!child) return undefined;
    if (signal === "SIGHUP") {
      child.kill(signal);
      return undefined;
    }
    if (daemon === "director") await this.#kept?.end();
    const ended = new Promise<number | undefined>((resolve) =>
      child.once("exit", (code) => resolve(code ?? undefined)),
    );
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), DAEMON_MS);
    const code = await ended;
    clearTimeout(timer);
    return code;
  }

  /** SIGKILL to all daemons, without waiting for their end. */
  killNow(): void {
    for (const child of this.#running.values()) child.kill("SIGKILL");
  }

  /** Ends all daemons in order. Idempotent. */
  async stop(): Promise<void> {
    await this.#kept?.end();
    for (const daemon of DAEMONS.toReversed()) await this.kill(daemon, "SIGTERM");
  }

  /** What a daemon has printed so far. */
  log(daemon: Daemon): string {
    try {
      return readFileSync(this.#logFile(daemon), "utf8");
    } catch {
      return "";
    }
  }

  #logFile(daemon: Daemon): string {
    return join(this.dir, "log", `${daemon}.log`);
  }

  /** Pipes lines into a console and gives what it prints. Rejects when it fails or takes too long. */
  async console(script: string[], timeoutMs = 600_000): Promise<string> {
    if (this.#kept?.busy === false)
      return this.#kept.ask(script, timeoutMs).catch((error: Error) => {
        throw new Error(`${error.message}\n${this.#logs()}`);
      });
    const child = spawn(BASALT, ["console", "-c", join(this.dir, "console.yaml")], { stdio: "pipe" });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on("data", (data: Buffer) => output.push(data));
    child.stderr.on("data", (data: Buffer) => errors.push(data));
    child.stdin.on("error", () => undefined);
    child.stdin.end(script.map((line) => `${line}\n`).join(""));
    const ended = new Promise<string>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => resolve(code === null ? `signal ${signal}` : `status ${code}`));
    });
    const how = await ended.finally(() => clearTimeout(timer));
    const text = Buffer.concat(output).toString("utf8");
    if (how === "status 0") return text;
    const why = Buffer.concat(errors).toString("utf8");
    throw new Error(
      `the console ended with ${how} on ${script.join(" | ")}\n${text}\n${why}\n${this.#logs()}`,
    );
  }

  /** The ends of the daemons' logs, for what went wrong. */
  #logs(): string {
    return DAEMONS.map((daemon) => `--- ${daemon}\n${this.log(daemon).slice(-3000)}`).join("\n");
  }

  /** Runs a job to its end. `words` are further ones for the command, such as `pool=Other`. */
  async runJob(
    job: string,
    options: { level?: string; words?: string; timeoutMs?: number } = {},
  ): Promise<JobReport> {
    const [report] = await this.runAll([runCommand(job, options)], options.timeoutMs);
    return report!;
  }

  /** Restores and waits for the end. */
  async restore(options: RestoreOptions): Promise<JobReport> {
    const [report] = await this.runAll([this.restoreCommand(options)], options.timeoutMs);
    return report!;
  }

  /** The console's command for a restore, which it starts without asking. */
  restoreCommand(options: RestoreOptions): string {
    const words = ["restore", `where=${quoteValue(options.where)}`];
    if (options.jobIds) words.push(`jobid=${options.jobIds.join(",")}`);
    else words.push(`client=${quoteValue(options.client ?? this.client)}`);
    if (options.fileSet) words.push(`fileset=${quoteValue(options.fileSet)}`);
    if (options.before) words.push(`before=${quoteValue(options.before)}`);
    if (options.words) words.push(options.words);
    if (options.files) words.push(...options.files.map((file) => `file=${quoteValue(file)}`));
    else words.push(options.jobIds ? "all done" : "select all done");
    return [...words, "yes"].join(" ");
  }

  /** Carries out commands that start a job each, one after the other in one console, and gives their reports. */
  async runAll(commands: string[], timeoutMs?: number): Promise<JobReport[]> {
    const output = await this.console(
      commands.flatMap((command) => [command, "wait", "messages"]),
      timeoutMs,
    );
    const queued = [...output.matchAll(/^Job queued\. JobId=(\d+)/gm)].map(([, id]) => Number(id));
    if (queued.length !== commands.length) throw new Error(`not every job was queued:\n${output}`);
    return queued.map((jobId) => {
      const report = findReport(output, jobId);
      if (report) return report;
      throw new Error(`no report of JobId ${jobId}:\n${output}\n${this.#logs()}`);
    });
  }
}

/** The console's command that starts a job without asking. */
export function runCommand(job: string, options: { level?: string; words?: string } = {}): string {
  const words = [`run job=${quoteValue(job)}`];
  if (options.level) words.push(`level=${options.level}`);
  if (options.words) words.push(options.words);
  return [...words, "yes"].join(" ");
}
