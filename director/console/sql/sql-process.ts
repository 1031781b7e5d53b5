/**
 * The process that carries out a console's SQL. A process and not a thread: what SQLite is at cannot be interrupted
 * from within, and its memory must not be the director's. Started with the names of the director's database and of a
 * scratch file; ends when the director does, or closes the channel.
 */
import { rmSync, writeFileSync } from "node:fs";
import { BackupError, describeError } from "../../../common/errors.js";
import { limitMemory } from "../../../common/sys/limits.js";
import { SqlEngine } from "./engine.js";
import type { FromSql, Needs, ToSql } from "./protocol.js";
import type { Scratch } from "./scratch.js";

/** What this process may take: SQLite makes values of up to a thousand million bytes if it is asked to. */
const MAX_MEMORY = 1024 * 1024 * 1024;

class Channel {
  readonly #came: ToSql[] = [];
  #wake: () => void = () => undefined;

  constructor() {
    process.on("message", (message: ToSql) => {
      this.#came.push(message);
      this.#wake();
    });
    process.on("disconnect", () => process.exit(0));
  }

  async next(): Promise<ToSql> {
    for (;;) {
      const message = this.#came.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  send(message: FromSql): void {
    process.send?.(message);
  }

  /** Sends and waits until it was taken. */
  async give(message: FromSql): Promise<void> {
    this.send(message);
    const answer = await this.next();
    if (answer.kind !== "taken") throw new BackupError("INTERNAL", `unexpected ${answer.kind}`);
  }

  /** Takes what fills the scratch database until all has come. @throws BackupError when it cannot be had */
  async fetch(needs: Needs, scratch: Scratch, engine: SqlEngine): Promise<void> {
    this.send({ kind: "need", needs });
    for (;;) {
      const message = await this.next();
      if (message.kind === "refused") throw new BackupError("SQL_REFUSED", message.message);
      if (message.kind === "filled") return scratch.finishExtents();
      if (message.kind === "rows") scratch.addRows(message.table, message.rows);
      else if (message.kind === "extents") scratch.addExtents(message.rows, (jobId) => engine.filesOf(jobId));
      else if (message.kind === "files") scratch.addFiles(message.rows);
      else if (message.kind === "baseFiles") scratch.addBaseFiles(message.jobId, message.rows);
      this.send({ kind: "taken" });
    }
  }
}

async function serve(database: string, scratchFile: string): Promise<void> {
  const channel = new Channel();
  const engine: SqlEngine = new SqlEngine(database, scratchFile, {
    fetch: (needs, scratch) => channel.fetch(needs, scratch, engine),
    text: (text) => (text === "" ? Promise.resolve() : channel.give({ kind: "text", text })),
    records: (records) => channel.give({ kind: "records", records }),
  });
  for (;;) {
    const message = await channel.next();
    if (message.kind !== "statement") continue;
    try {
      await engine.run(message.sql, message.form);
      channel.send({ kind: "done" });
    } catch (error) {
      channel.send({ kind: "done", error: describeError(error) });
    }
  }
}

limitMemory(MAX_MEMORY);
// If the machine runs out of memory, this goes first.
try {
  writeFileSync("/proc/self/oom_score_adj", "1000");
} catch {
  // Not Linux, or not allowed: nothing depends on it.
}
const [database, scratchFile] = process.argv.slice(2);
process.on("exit", () => rmSync(scratchFile!, { force: true }));
await serve(database!, scratchFile!);
