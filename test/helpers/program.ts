/** Programs whose failure is what a test looks at. */
import { spawn } from "node:child_process";

/** How a program ended and what it said. */
export interface Ended {
  /** Exit status; 128 + number when a signal ended it. */
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end; after `timeoutMs` it is killed. */
export function endOf(command: string, args: string[], timeoutMs = 30_000): Promise<Ended> {
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
