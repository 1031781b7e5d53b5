/** Wall time, processor time and peak memory of commands and of running daemons. */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { REPOSITORY } from "../test/helpers/root.js";
import { runProgram } from "../test/helpers/tree-ops.js";
import type { Cost, DaemonCost, Observed } from "./peer.js";

/** Linux reports processor time in ticks of 10 ms on every platform Node runs on. */
const TICKS_PER_SECOND = 100;

/** How a command is run. */
export interface CommandOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Exit statuses that count as success. (Default: 0 only) */
  statuses?: number[];
  input?: string;
}

/** Runs a command to its end and measures it with all its children. Rejects with its output when it fails. */
export async function measureCommand(
  command: string[],
  options: CommandOptions = {},
): Promise<Cost & { output: string }> {
  const dir = await mkdtemp(join(tmpdir(), "measure-"));
  try {
    const result = join(dir, "cost.json");
    const output = await runMeasured([join(REPOSITORY, "bench", "measured.py"), result, ...command], options);
    const cost = JSON.parse(await readFile(result, "utf8")) as {
      wall: number;
      cpu: number;
      rss: number;
      status: number;
    };
    if (!(options.statuses ?? [0]).includes(cost.status))
      throw new Error(`${command.join(" ")} ended with status ${cost.status}:\n${output.slice(-4000)}`);
    return { wallSeconds: cost.wall, cpuSeconds: cost.cpu, peakRssBytes: cost.rss, output };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function runMeasured(args: string[], options: CommandOptions): Promise<string> {
  const env = { ...process.env, ...options.env };
  const child = spawn("python3", args, { cwd: options.cwd, env, stdio: ["pipe", "pipe", "pipe"] });
  const output: Buffer[] = [];
  child.stdout.on("data", (data: Buffer) => output.push(data));
  child.stderr.on("data", (data: Buffer) => output.push(data));
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve(Buffer.concat(output).toString("utf8")));
  });
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks / TICKS_PER_SECOND;
}

function peakRssBytes(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1024;
}

/** Starts the peak anew; without the right to do so the peak is that of the process's whole life. */
function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    return;
  }
}

/** Begins to measure a running process; what it returns says what the process has spent since then. */
export function beginCost(pid: number): () => DaemonCost {
  resetPeak(pid);
  const before = cpuSeconds(pid);
  return () => ({ cpuSeconds: cpuSeconds(pid) - before, peakRssBytes: peakRssBytes(pid) });
}

/** Measures what a tool's running daemons spend while `action` runs, and adds it to the cost that it returns itself. */
export async function measureDaemons<T extends Cost>(
  tool: string,
  { repetition, step, trace }: Observed,
  pids: Record<string, number>,
  action: () => Promise<T>,
): Promise<T & { daemons: Record<string, DaemonCost> }> {
  const costs = Object.entries(pids).map(([name, pid]) => [name, beginCost(pid)] as const);
  const unfollow = trace?.follow({ repetition, tool, step }, pids);
  const own = await action().finally(unfollow);
  const daemons: Record<string, DaemonCost> = {};
  const sum = { cpuSeconds: own.cpuSeconds, peakRssBytes: own.peakRssBytes };
  for (const [name, costOf] of costs) {
    const cost = costOf();
    daemons[name] = cost;
    sum.cpuSeconds += cost.cpuSeconds;
    sum.peakRssBytes += cost.peakRssBytes;
  }
  return { ...own, ...sum, daemons };
}

/** Bytes that files below a path hold, as their sizes say. */
export async function bytesBelow(path: string): Promise<number> {
  return Number.parseInt(await runProgram("du", ["-s", "--apparent-size", "-B1", path]), 10);
}

/** First line that a program prints about itself; undefined when it is not installed. */
export async function programVersion(command: string, args: string[]): Promise<string | undefined> {
  try {
    return (await runProgram(command, args)).split("\n")[0]?.trim();
  } catch {
    return undefined;
  }
}
