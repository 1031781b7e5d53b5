/**
 * The files of conf/example-fleet as an installation on loopback. They are used as they are, except for the replacements
 * below: addresses, ports, paths, and the programs that make snapshots and references.
 */
import { type ChildProcess, fork } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SmtpServer } from "../../../director/messages/testing/smtp-server.js";
import { Installation } from "../../helpers/installation.js";
import { freePortBase } from "../../helpers/ports.js";
import { REPOSITORY } from "../../helpers/root.js";
import { queryDatabase } from "../../helpers/running.js";
import { removeTree, runProgram } from "../../helpers/tree-ops.js";

const EXAMPLE = join(REPOSITORY, "conf", "example-fleet");
const DAEMONS = fileURLToPath(new URL("./daemons.js", import.meta.url));

/** What stands in the example, and what it becomes. Each must be there. */
type Replacements = readonly (readonly [from: string | RegExp, to: string])[];

/** How a reference is made: the directives of its resource from Builder on. */
const BUILDER = /^ {4}Builder: mmdebstrap\n(?: {4}.*\n)+/gm;

function replaced(text: string, replacements: Replacements, file: string): string {
  return replacements.reduce((done, [from, to]) => {
    const text = done.replaceAll(from, () => to);
    if (text === done) throw new Error(`${file} does not hold ${from}`);
    return text;
  }, text);
}

/** A run as the director's database has it. */
export interface Run {
  jobId: number;
  name: string;
  /** Letter: F, I, B. */
  level: string;
  status: string;
  schedMs: number;
  startMs: number;
  baseJobIds: number[];
  storedBytes: number;
}

/** See the head of this file. Call close() in the end. */
export class ExampleFleet {
  readonly dir: string;
  readonly installation: Installation;
  readonly mail: SmtpServer;
  readonly #kvmPort: number;
  #daemons: ChildProcess | undefined;

  private constructor(dir: string, installation: Installation, mail: SmtpServer) {
    this.dir = dir;
    this.installation = installation;
    this.mail = mail;
    this.#kvmPort = installation.portBase + 3;
  }

  /** Certificates as `basalt init` and `basalt client add` make them, then the files of the example. */
  static async create(): Promise<ExampleFleet> {
    const dir = await mkdtemp(join(tmpdir(), "basalt-example-fleet-"));
    const mail = new SmtpServer();
    try {
      const portBase = await freePortBase(4);
      const installation = await Installation.create(join(dir, "etc"), { name: "backup", portBase });
      installation.keepConsole();
      await mail.listen();
      const fleet = new ExampleFleet(dir, installation, mail);
      await fleet.#install();
      return fleet;
    } catch (error) {
      await mail.close();
      await removeTree(dir);
      throw error;
    }
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  /** Directory of the hypervisor's configuration. */
  get kvm(): string {
    return join(this.installation.dir, "clients", "kvm-01");
  }

  async #install(): Promise<void> {
    const { dir, portBase } = this.installation;
    const words = ["client", "add", "kvm-01", "--address", "127.0.0.1", "--port", String(this.#kvmPort)];
    await runProgram(join(REPOSITORY, "basalt"), [...words, "-c", join(dir, "director.yaml")]);
    for (const name of ["volumes", "restores", "reference", "mnt", "dev"]) await mkdir(this.path(name));
    for (const name of await readdir(join(dir, "conf.d"))) throw new Error(`conf.d has ${name} already`);
    const directorPort = ["Port: 9101", `Port: ${portBase}`] as const;
    const storagedPort = ["Port: 9103", `Port: ${portBase + 2}`] as const;
    const everywhere = ["0.0.0.0", "127.0.0.1"] as const;
    const paths: Replacements = [
      ["/run/basalt/mnt", this.path("mnt")],
      ["/srv/reference", this.path("reference")],
      ["/dev/kvm-01", this.path("dev")],
    ];
    const restores = ["/var/tmp/basalt-restores", this.path("restores")] as const;
    await this.#copy("director.yaml", dir, [
      directorPort,
      ["Address: kvm-01.example.org\n    Port: 9102", `Address: 127.0.0.1\n    Port: ${this.#kvmPort}`],
      ["Address: 127.0.0.1\n    Port: 9102", `Address: 127.0.0.1\n    Port: ${portBase + 1}`],
      ["Address: backup.example.org ", "Address: 127.0.0.1 "],
      storagedPort,
      ["Address: mail.example.org, Port: 25", `Address: 127.0.0.1, Port: ${this.mail.port}`],
      ["/opt/basalt/", `${REPOSITORY}/`],
      ["/etc/basalt", dir],
      restores,
    ]);
    await this.#copy("conf.d/references.yaml", dir, [paths[1]!]);
    await this.#copy("conf.d/virtual-machines.yaml", dir, [paths[0]!, paths[2]!]);
    await this.#copy("storaged.yaml", dir, [
      everywhere,
      storagedPort,
      ["/srv/basalt/volumes", this.path("volumes")],
    ]);
    await this.#copy("console.yaml", dir, [directorPort]);
    const builder = [BUILDER, "    Builder: command\n    Command: reference-build\n"] as const;
    const filed: Replacements = [
      builder,
      everywhere,
      ["Port: 9102", `Port: ${this.#kvmPort}`],
      ...paths,
      restores,
    ];
    await this.#copy("filed.yaml", this.kvm, filed);
  }

  async #copy(name: string, to: string, replacements: Replacements): Promise<void> {
    const text = await readFile(join(EXAMPLE, name), "utf8");
    await writeFile(join(to, name), replaced(text, replacements, name));
  }

  /** Starts the daemons; their clock begins at `moment`. */
  async start(moment: number): Promise<void> {
    const { dir } = this.installation;
    const log = openSync(join(dir, "log", "director.log"), "a");
    const configs = [join(dir, "storaged.yaml"), join(this.kvm, "filed.yaml"), join(dir, "filed.yaml")];
    this.#daemons = fork(DAEMONS, [String(moment), ...configs, join(dir, "director.yaml")], {
      execArgv: ["--enable-source-maps"],
      stdio: ["ignore", log, log, "ipc"],
    });
    closeSync(log);
    await this.#answer();
  }

  /** Lets the time pass up to `moment`; resolves when all jobs that began have ended. */
  async goTo(moment: number): Promise<void> {
    this.#daemons?.send(moment);
    await this.#answer();
  }

  async #answer(): Promise<void> {
    const daemons = this.#daemons;
    await new Promise<void>((resolve, reject) => {
      const ended = (code: number | null): void =>
        reject(
          new Error(`the daemons ended with ${code}:\n${this.installation.log("director").slice(-5000)}`),
        );
      daemons?.once("exit", ended);
      daemons?.once("message", (answer: { failed?: string }) => {
        daemons.off("exit", ended);
        if (answer.failed === undefined) resolve();
        else reject(new Error(answer.failed));
      });
    });
  }

  /** Every run that the director still lists, oldest first. */
  runs(): Run[] {
    const file = join(this.installation.dir, "var", "director", "director.db");
    const rows = queryDatabase<Omit<Run, "baseJobIds"> & { bases: string }>(
      file,
      `SELECT job_id AS jobId, name, level, status, sched_ms AS schedMs, start_ms AS startMs, base_job_ids AS bases,
         stored_bytes AS storedBytes FROM job ORDER BY job_id`,
    );
    return rows.map(({ bases, ...run }) => ({ ...run, baseJobIds: JSON.parse(bases) as number[] }));
  }

  /** Good runs that the storage daemon's catalog has. */
  cataloged(): number[] {
    const file = join(this.installation.dir, "var", "storaged", "catalog.db");
    return queryDatabase<{ jobId: number }>(
      file,
      "SELECT job_id AS jobId FROM job WHERE status IN ('T', 'W') ORDER BY job_id",
    ).map(({ jobId }) => jobId);
  }

  /** Ends the daemons and removes everything. */
  async close(): Promise<void> {
    await this.installation.stop();
    const daemons = this.#daemons;
    if (daemons !== undefined && daemons.exitCode === null && daemons.signalCode === null) {
      const ended = new Promise<void>((resolve) => daemons.once("exit", () => resolve()));
      const timer = setTimeout(() => daemons.kill("SIGKILL"), 60_000);
      daemons.disconnect();
      await ended;
      clearTimeout(timer);
    }
    await this.mail.close();
    if (process.env.BASALT_KEEP) console.log(`kept ${this.dir}`);
    else await removeTree(this.dir);
  }
}
