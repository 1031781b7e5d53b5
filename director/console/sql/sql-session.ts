/** SQL for one console: the process that carries it out, and what it is sent and sends. */
import type { ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { BackupError, describeError } from "../../../common/errors.js";
import { startModule } from "../../../common/exec.js";
import { databaseFile } from "../../db/database.js";
import { Abandoned, type CommandContext } from "../context.js";
import { feed } from "./feed.js";
import type { FromSql, ResultForm, SqlValue, ToSql } from "./protocol.js";

/** A statement that takes longer is ended. */
export const SQL_SECONDS = 600;

/** Where results go. */
export interface ResultSink {
  text(text: string): Promise<void>;
  records(records: Record<string, SqlValue>[]): Promise<void>;
}

/** Open while a command uses it; `close` ends the process, whatever it is at. */
export class SqlSession {
  readonly #context: CommandContext;
  readonly #seconds: number;
  #child: ChildProcess | undefined;
  #scratch = "";
  readonly #came: (FromSql | { kind: "ended"; why: string })[] = [];
  #wake: () => void = () => undefined;
  readonly #stop = (): void => this.close();

  constructor(context: CommandContext, seconds = SQL_SECONDS) {
    this.#context = context;
    this.#seconds = seconds;
    context.signal.addEventListener("abort", this.#stop);
  }

  /**
   * Carries out one statement.
   * @throws BackupError SQL_FAILED with the reason; Abandoned after an interrupt
   */
  async run(sql: string, form: ResultForm, sink: ResultSink): Promise<void> {
    this.#start();
    const timer = setTimeout(() => {
      this.#end(`it took longer than ${this.#seconds} seconds`);
    }, this.#seconds * 1000);
    try {
      await this.#give({ kind: "statement", sql, form }, sink);
    } catch (error) {
      this.#end(describeError(error));
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#context.signal.removeEventListener("abort", this.#stop);
    this.#end("interrupted");
  }

  #start(): void {
    if (this.#child !== undefined) return;
    const { workingDirectory } = this.#context.whole.config.director;
    removeStale(workingDirectory);
    this.#scratch = join(workingDirectory, `sql-${process.pid}-${randomUUID()}.db`);
    const env = { SQLITE_TMPDIR: workingDirectory, TZ: process.env.TZ ?? "", PATH: process.env.PATH ?? "" };
    if (env.TZ === "") delete (env as Partial<typeof env>).TZ;
    const child = startModule(
      new URL("./sql-process.js", import.meta.url),
      [databaseFile(workingDirectory), this.#scratch],
      env,
    );
    this.#came.length = 0;
    this.#child = child;
    child.on("message", (message: FromSql) => this.#put(child, message));
    child.on("error", (error) => this.#put(child, { kind: "ended", why: describeError(error) }));
    child.on("exit", (code, signal) => {
      this.#put(child, { kind: "ended", why: `the process for SQL ended (${signal ?? code})` });
    });
  }

  /** The process is at something that only this ends. */
  #end(why: string): void {
    const child = this.#child;
    if (child === undefined) return;
    this.#put(child, { kind: "ended", why });
    const scratch = this.#scratch;
    this.#child = undefined;
    // Also what it has just made: it cannot make it again.
    child.once("exit", () => rmSync(scratch, { force: true }));
    child.kill("SIGKILL");
    rmSync(scratch, { force: true });
  }

  #put(child: ChildProcess, message: FromSql | { kind: "ended"; why: string }): void {
    if (child !== this.#child) return;
    this.#came.push(message);
    this.#wake();
  }

  async #next(): Promise<FromSql> {
    for (;;) {
      const message = this.#came.shift();
      if (message?.kind === "ended") {
        if (this.#context.signal.aborted) throw new Abandoned("interrupted");
        throw new BackupError("SQL_FAILED", message.why);
      }
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #send(message: ToSql): void {
    // The other end may be gone: that comes as a message.
    this.#child?.send(message, () => undefined);
  }

  /** Sends a message and serves the other end until the statement is done. */
  async #give(message: ToSql, sink: ResultSink): Promise<void> {
    this.#send(message);
    for (;;) {
      const answer = await this.#next();
      if (answer.kind === "done") {
        if (answer.error !== undefined) throw new BackupError("SQL_FAILED", answer.error);
        return;
      }
      if (answer.kind === "need") await this.#feed(answer);
      else {
        if (answer.kind === "text") await sink.text(answer.text);
        else if (answer.kind === "records") await sink.records(answer.records);
        this.#send({ kind: "taken" });
      }
    }
  }

  async #feed({ needs }: Extract<FromSql, { kind: "need" }>): Promise<void> {
    try {
      await feed(this.#context, needs, async (message) => {
        this.#send(message);
        await this.#next();
      });
    } catch (error) {
      if (this.#child === undefined || this.#context.signal.aborted) throw error;
      return this.#send({ kind: "refused", message: describeError(error) });
    }
    this.#send({ kind: "filled" });
  }
}

/** Scratch files that an end of the machine left behind: of other processes than this, the only one that works here. */
function removeStale(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (/^sql-\d+-[0-9a-f-]{36}\.db$/.test(name) && !name.startsWith(`sql-${process.pid}-`))
      rmSync(join(directory, name), { force: true });
  }
}
