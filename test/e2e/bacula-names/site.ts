/** An installation in Bacula's own files, driven by programs under Bacula's names. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePortBase } from "../../helpers/ports.js";
import { type Ended, endOf } from "../../helpers/program.js";
import { REPOSITORY } from "../../helpers/root.js";
import { until } from "../../helpers/running.js";

export type DaemonLetter = "dir" | "sd" | "fd";

export class Site {
  readonly root: string;
  readonly portBase: number;

  private constructor(root: string, portBase: number) {
    this.root = root;
    this.portBase = portBase;
    process.env.BASALT_DIRECTORS = join(root, "directors");
    process.once("exit", () => {
      for (const file of this.pidFiles()) {
        const pid = Number(readFileSync(join(root, "run", file), "utf8"));
        if (pid > 1) process.kill(pid, "SIGKILL");
      }
    });
  }

  /** With the files of this directory, @NAMES@ replaced, and something to back up. */
  static async create(): Promise<Site> {
    const site = await Site.from(join(REPOSITORY, "test/e2e/bacula-names/etc"), "names");
    await writeFile(join(site.root, "etc/file-list"), `${site.root}/src\n`);
    await writeFile(join(site.root, "src/hello"), "hello\n");
    await writeFile(join(site.root, "src/large"), "0123456789abcdef".repeat(150_000));
    return site;
  }

  /** With the *.conf of a directory, each as `filled` makes it. `name` is part of the site's directory. */
  static async from(
    originals: string,
    name: string,
    filled = (text: string, site: Site): string => site.filled(text),
  ): Promise<Site> {
    const site = new Site(mkdtempSync(join(tmpdir(), `basalt-${name}-`)), await freePortBase(3));
    for (const each of ["etc", "work", "run", "volumes", "src"]) await mkdir(join(site.root, each));
    for (const file of readdirSync(originals).filter((each) => each.endsWith(".conf"))) {
      const text = await readFile(join(originals, file), "utf8");
      await writeFile(join(site.root, "etc", file), filled(text, site));
    }
    return site;
  }

  filled(text: string): string {
    const ports = { DIRPORT: 0, FDPORT: 1, SDPORT: 2 };
    const filled = text.replace(/@(DIRPORT|FDPORT|SDPORT)@/g, (_, name: keyof typeof ports) =>
      String(this.portBase + ports[name]),
    );
    return filled.replaceAll("@ROOT@", this.root);
  }

  etc(name: string): string {
    return join(this.root, "etc", name);
  }

  /** Runs a program of conf/bacula-names to its end. */
  program(name: string, ...args: string[]): Promise<Ended> {
    return endOf(join(REPOSITORY, "conf/bacula-names", name), args, 90_000);
  }

  daemon(letter: DaemonLetter, ...args: string[]): Promise<Ended> {
    return this.program(`bacula-${letter}`, "-c", this.etc(`bacula-${letter}.conf`), ...args);
  }

  pidFiles(): string[] {
    const directory = join(this.root, "run");
    return existsSync(directory) ? readdirSync(directory).sort() : [];
  }

  pid(letter: DaemonLetter): number {
    const file = this.pidFiles().find((name) => name.startsWith(`bacula-${letter}.`));
    if (file === undefined) return 0;
    try {
      return Number(readFileSync(join(this.root, "run", file), "utf8"));
    } catch {
      // It ended just now and took the file with it.
      return 0;
    }
  }

  /** Ends a daemon as a stop script does, and waits until it is gone. */
  async stop(letter: DaemonLetter): Promise<void> {
    const pid = this.pid(letter);
    // 0 would be this process and all with it.
    assert.ok(pid > 1, `bacula-${letter} runs`);
    process.kill(pid, "SIGTERM");
    await until(`bacula-${letter} is gone`, () => this.pid(letter) === 0);
  }

  /** Pipes lines into bconsole. */
  async console(lines: readonly string[], file = "bconsole.conf"): Promise<Ended> {
    const child = spawn(join(REPOSITORY, "conf/bacula-names/bconsole"), ["-c", this.etc(file)], {
      stdio: "pipe",
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), 900_000);
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (data) => {
      output.stdout += String(data);
    });
    child.stderr.on("data", (data) => {
      output.stderr += String(data);
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(lines.map((line) => `${line}\n`).join(""));
    const status = await new Promise<number>((resolve) =>
      child.once("close", (code) => resolve(code ?? 137)),
    );
    clearTimeout(timer);
    return { status, ...output };
  }

  /** As `sed -i s/FROM/TO/` does it. Throws when nothing changes. */
  async sed(name: string, from: RegExp, to: string): Promise<void> {
    const before = await readFile(this.etc(name), "utf8");
    const after = before.replace(from, to);
    if (after === before) throw new Error(`${from} is not in ${name}`);
    await writeFile(this.etc(name), after);
  }

  async close(): Promise<void> {
    for (const letter of ["dir", "fd", "sd"] as const) if (this.pid(letter) !== 0) await this.stop(letter);
    await rm(this.root, { recursive: true, force: true });
  }
}
