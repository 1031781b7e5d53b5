/** Another storage daemon beside an installation's own, with a certificate of the same CA. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { issueAndRecord } from "../../director/admin/files.js";
import { DAEMON_MS, type Installation } from "./installation.js";
import { freePortBase, portAnswers } from "./ports.js";
import { REPOSITORY } from "./root.js";

/** The director knows it as Storage `Second`; its volumes lie in `storage2`. */
export class SecondStorage {
  readonly #installation: Installation;
  readonly #port: number;
  #child: ChildProcess | undefined;

  private constructor(installation: Installation, port: number) {
    this.#installation = installation;
    this.#port = port;
    process.once("exit", () => void this.#child?.kill("SIGKILL"));
  }

  /** Writes its configuration and the director's Storage resource; nothing is started. */
  static async create(installation: Installation): Promise<SecondStorage> {
    const { dir, name } = installation;
    const port = await freePortBase(1);
    const made = await issueAndRecord(join(dir, "pki"), { role: "storaged", name: `${name}-sd2`, hosts: [] });
    await writeFile(join(dir, "pki", "storaged2.key"), made.keyPem, { mode: 0o600 });
    await writeFile(join(dir, "pki", "storaged2.crt"), made.certPem);
    for (const room of ["storage2", "var/storaged2"]) await mkdir(join(dir, room), { recursive: true });
    const config = (await readFile(join(dir, "storaged.yaml"), "utf8"))
      .replace(`Name: ${name}-sd`, `Name: ${name}-sd2`)
      .replace(/^( +Port:) \d+/m, `$1 ${port}`)
      .replace("var/storaged", "var/storaged2")
      .replace("pki/storaged.crt", "pki/storaged2.crt")
      .replace("pki/storaged.key", "pki/storaged2.key")
      .replace("ArchiveDevice: storage", "ArchiveDevice: storage2");
    await writeFile(join(dir, "storaged2.yaml"), config);
    const Storage = [
      { Name: "Second", Address: "127.0.0.1", Port: port, Device: "FileStorage", MediaType: "File" },
    ];
    await installation.writeResources("storage-second", { Storage });
    return new SecondStorage(installation, port);
  }

  get #logFile(): string {
    return join(this.#installation.dir, "log", "storaged2.log");
  }

  /** Starts the daemon and waits until it answers. */
  async start(): Promise<void> {
    const log = openSync(this.#logFile, "a");
    const args = ["storaged", "-c", join(this.#installation.dir, "storaged2.yaml")];
    const child = spawn(join(REPOSITORY, "basalt"), args, { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child = child;
    const deadline = Date.now() + DAEMON_MS;
    while (!(await portAnswers(this.#port))) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`the second storage daemon does not answer:\n${readFileSync(this.#logFile, "utf8")}`);
      await sleep(50);
    }
  }

  /** Ends the daemon in order. Idempotent. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), DAEMON_MS);
    await ended;
    clearTimeout(timer);
  }
}
