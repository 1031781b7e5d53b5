/** Further file daemons beside an installation's own, each with a certificate of the same CA. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { issueAndRecord } from "../../director/admin/files.js";
import { DAEMON_MS, type Installation } from "./installation.js";
import { freePortBase, portAnswers } from "./ports.js";
import { REPOSITORY } from "./root.js";

/** The director knows them as Clients `client-0`, `client-1`, …; nothing is started at first. */
export class MoreClients {
  readonly count: number;
  readonly #dir: string;
  readonly #portBase: number;
  readonly #running = new Map<number, ChildProcess>();

  private constructor(dir: string, portBase: number, count: number) {
    this.#dir = dir;
    this.#portBase = portBase;
    this.count = count;
    process.once("exit", () => {
      for (const child of this.#running.values()) child.kill("SIGKILL");
    });
  }

  /** Writes their configurations and Client resources. `directives` are further ones of the resources. */
  static async create(
    { dir }: Installation,
    options: { count: number; directives?: Record<string, unknown> },
  ): Promise<MoreClients> {
    const { count, directives } = options;
    const clients = new MoreClients(dir, await freePortBase(count), count);
    const shared = await readFile(join(dir, "filed.yaml"), "utf8");
    for (let number = 0; number < count; number++) {
      const name = clients.name(number);
      const made = await issueAndRecord(join(dir, "pki"), { role: "filed", name, hosts: [] });
      await writeFile(join(dir, "pki", `${name}.key`), made.keyPem, { mode: 0o600 });
      await writeFile(join(dir, "pki", `${name}.crt`), made.certPem);
      await mkdir(join(dir, "var", name), { recursive: true });
      const config = shared
        .replace(/Name: \S+-fd/, `Name: ${name}`)
        .replace(/^( +Port:) \d+/m, `$1 ${clients.port(number)}`)
        .replace("var/filed", `var/${name}`)
        .replace("pki/filed.crt", `pki/${name}.crt`)
        .replace("pki/filed.key", `pki/${name}.key`);
      await writeFile(join(dir, `${name}.yaml`), config);
    }
    const Client = Array.from({ length: count }, (_, number) => ({
      ...{ Name: clients.name(number), Address: "127.0.0.1", Port: clients.port(number), ...directives },
    }));
    await writeFile(join(dir, "conf.d", "more-clients.yaml"), JSON.stringify({ Client }));
    return clients;
  }

  name(number: number): string {
    return `client-${number}`;
  }

  port(number: number): number {
    return this.#portBase + number;
  }

  #logFile(number: number): string {
    return join(this.#dir, "log", `${this.name(number)}.log`);
  }

  /** Starts one and waits until it answers. */
  async start(number: number): Promise<void> {
    const log = openSync(this.#logFile(number), "a");
    const args = ["filed", "-c", join(this.#dir, `${this.name(number)}.yaml`)];
    const child = spawn(join(REPOSITORY, "basalt"), args, { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#running.set(number, child);
    const deadline = Date.now() + DAEMON_MS;
    while (!(await portAnswers(this.port(number)))) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(
          `${this.name(number)} does not answer:\n${readFileSync(this.#logFile(number), "utf8")}`,
        );
      await sleep(50);
    }
  }

  /** Sends a signal to one, such as SIGSTOP: it accepts connections from then on and never answers. */
  signal(number: number, signal: NodeJS.Signals): void {
    this.#running.get(number)?.kill(signal);
  }

  /** Ends all that run. Idempotent. */
  async stop(): Promise<void> {
    const ends = [...this.#running.values()].map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), DAEMON_MS);
      await ended;
      clearTimeout(timer);
    });
    this.#running.clear();
    await Promise.all(ends);
  }
}
