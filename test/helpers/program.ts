/** Programs whose failure is what a test looks at. */
import { type ChildProcess, spawn } from "node:child_process";
import { portAnswers } from "./ports.js";
import { until } from "./running.js";

/** How a program ended and what it said. */
export interface Ended {
  /** Exit status; 128 + number when a signal ended it. */
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end; after `timeoutMs` it is killed. */
export function endOf(command: string, args: string[], timeoutMs = 180_000): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8");
      child[name].on("data", (text: string) => {
        output[name] += text;
      });
    }
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ status: code ?? 137, ...output });
    });
  });
}

/** A program that runs beside the daemons of an installation. */
export class Running {
  readonly #child: ChildProcess;
  #log = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    const take = (data: Buffer): void => {
      this.#log += data.toString("utf8");
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    process.once("exit", () => child.kill("SIGKILL"));
  }

  /** Starts it and waits until a port of loopback answers. */
  static async start(command: string, args: string[], port: number): Promise<Running> {
    const running = new Running(spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] }));
    await until(`${command} ${args.join(" ")} on port ${port}`, () => {
      if (running.#child.exitCode !== null) throw new Error(`it ended at once:\n${running.log}`);
      return portAnswers(port);
    });
    return running;
  }

  /** What it has printed so far. */
  get log(): string {
    return this.#log;
  }

  /** Ends it. Idempotent. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 120_000);
    await ended;
    clearTimeout(timer);
  }
}
