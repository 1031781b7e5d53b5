/**
 * One line on the terminal that tells of running jobs. While the user types it stands in the row above the prompt
 * and is redrawn in place; while a command runs it is the last row and gives way to every text.
 */
import type { Writable } from "node:stream";
import { displayPath } from "../common/format/path.js";
import { nowMs } from "../common/time.js";
import { formatBytes, withCommas } from "../common/units.js";
import type { RunningJob__Output } from "../proto/generated/basalt/v1/RunningJob.js";

/** Text of the line, at most `columns` wide; "" when nothing runs. */
export function statusText(jobs: readonly RunningJob__Output[], columns: number): string {
  if (jobs.length === 0) return "";
  const parts = jobs.map((job) => {
    const progress = job.progress;
    const seconds = Math.max(1, (nowMs() - job.startedMs) / 1000);
    const figures =
      progress === null || progress.files + progress.bytesRead === 0
        ? job.state
        : `${withCommas(progress.files)} files ${formatBytes(progress.bytesRead)} ` +
          `${formatBytes(Math.round(progress.bytesRead / seconds))}/s`;
    const errors = progress !== null && progress.errors > 0 ? ` ${withCommas(progress.errors)} errors` : "";
    return `[${job.jobId}] ${job.name} ${job.level} ${figures}${errors}`;
  });
  const only = jobs.length === 1 ? jobs[0]?.progress?.path.toString("latin1") : undefined;
  const text = only === undefined || only === "" ? parts.join("  ") : `${parts[0]}  ${displayPath(only)}`;
  const room = Math.max(10, columns - 1);
  const letters = [...text];
  return letters.length <= room ? text : `${letters.slice(0, room - 1).join("")}…`;
}

export interface Cursor {
  /** Position within the prompt and what was typed. */
  getCursorPos(): { rows: number; cols: number };
  /** Draws prompt and typed text again, the cursor where it was. */
  prompt(preserveCursor?: boolean): void;
}

export class StatusLine {
  readonly #out: Writable & { columns?: number };
  readonly #colour: boolean;
  /** above: in the row over the prompt; here: in the row of the cursor; none: not on the screen. */
  #where: "above" | "here" | "none" = "none";
  #text = "";

  constructor(out: Writable & { columns?: number }, colour: boolean) {
    this.#out = out;
    this.#colour = colour;
  }

  /** Shows the state of the jobs; `cursor` when the user is typing. */
  update(jobs: readonly RunningJob__Output[], cursor: Cursor | undefined): void {
    this.#text = statusText(jobs, this.#out.columns || 80);
    if (this.#text === "" && this.#where === "none") return;
    if (cursor === undefined) this.#drawHere();
    else if (this.#where === "above") this.#drawAbove(cursor);
    else {
      this.clear();
      if (this.#text === "") return;
      this.#out.write(`\r\x1b[J${this.#styled()}\n`);
      this.#where = "above";
      cursor.prompt(true);
    }
  }

  /** Takes the line away before other text; after a line was entered it simply scrolls up. */
  clear(): void {
    if (this.#where === "here") this.#out.write("\r\x1b[K");
    this.#where = "none";
  }

  #styled(): string {
    return this.#colour && this.#text !== "" ? `\x1b[2m${this.#text}\x1b[0m` : this.#text;
  }

  #drawHere(): void {
    if (this.#where === "above") this.#where = "none";
    this.#out.write(`\r\x1b[K${this.#styled()}`);
    this.#where = this.#text === "" ? "none" : "here";
  }

  #drawAbove(cursor: Cursor): void {
    const { rows, cols } = cursor.getCursorPos();
    const up = rows + 1;
    this.#out.write(`\x1b[${up}A\r\x1b[K${this.#styled()}\x1b[${up}B\r${cols > 0 ? `\x1b[${cols}C` : ""}`);
  }
}
