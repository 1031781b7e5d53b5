/** The memory trace: resident sizes of running daemons ten times a second, as tab-separated text. */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

const EVERY_MS = 100;
/** Every platform that Node runs on under Linux with x86 has pages of this size; others say so in smaps only. */
const PAGE_BYTES = 4096;

/** Resident size of a process; undefined when it has ended. */
export function residentBytes(pid: number): number | undefined {
  try {
    const pages = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1];
    return Number(pages) * PAGE_BYTES;
  } catch {
    return undefined;
  }
}

/** What samples belong to. */
export interface Traced {
  /** From 0 on. */
  repetition: number;
  tool: string;
  step: string;
}

/** Writes one line per daemon and sample: seconds since the start, repetition (from 1 on), tool, step, daemon, bytes. */
export class MemoryTrace {
  readonly #fd: number;
  readonly #startMs = performance.now();

  /** Replaces the file. The owner calls close(). */
  constructor(file: string) {
    this.#fd = openSync(file, "w");
    writeSync(this.#fd, "seconds\trepetition\ttool\tstep\tdaemon\trss_bytes\n");
  }

  /** Samples these processes until the function that it returns is called. */
  follow({ repetition, tool, step }: Traced, pids: Record<string, number>): () => void {
    const about = `${repetition + 1}\t${tool}\t${step}`;
    const sample = (): void => {
      const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(2);
      const lines = Object.entries(pids).map(([daemon, pid]) => {
        const bytes = residentBytes(pid);
        return bytes === undefined ? "" : `${seconds}\t${about}\t${daemon}\t${bytes}\n`;
      });
      writeSync(this.#fd, lines.join(""));
    };
    sample();
    const timer = setInterval(sample, EVERY_MS);
    return () => {
      clearInterval(timer);
      sample();
    };
  }

  close(): void {
    closeSync(this.#fd);
  }
}
