/** The master's side of the thread that walks mounted disk images: its messages as those of a stream, and its end. */
import { Worker } from "node:worker_threads";
import { BackupError } from "../../common/errors.js";
import { endWorker } from "../sys/end-worker.js";
import type { FromTree, ToTree, TreeWork } from "./tree-protocol.js";

export class TreeThread {
  readonly #worker: Worker;
  readonly #queue: Buffer[] = [];
  readonly #report: (line: string) => void;
  #outcome: { error: Error | undefined } | undefined;
  #wake: () => void = () => undefined;
  /** Resolves when the thread has unmounted everything it mounted, or is gone. */
  readonly ended: Promise<void>;
  #setEnded: () => void = () => undefined;

  constructor(work: TreeWork, report: (line: string) => void) {
    this.#report = report;
    this.ended = new Promise((resolve) => {
      this.#setEnded = resolve;
    });
    this.#worker = new Worker(new URL("./tree-worker.js", import.meta.url), { workerData: work });
    this.#worker.on("message", (message: FromTree) => this.#onMessage(message));
    this.#worker.on("error", (error) => this.#end(error));
    this.#worker.on("exit", (status) =>
      this.#end(new Error(`the thread of the disk images ended (${status})`)),
    );
  }

  #onMessage(message: FromTree): void {
    if (message.kind === "report") this.#report(message.line);
    else if (message.kind === "message") this.#queue.push(Buffer.from(message.bytes.buffer));
    else this.#end(message.error && new BackupError(message.error.code, message.error.text));
    this.#wake();
  }

  #end(error: Error | undefined): void {
    this.#outcome ??= { error };
    this.#setEnded();
    this.#wake();
  }

  /** Messages of a restore, as many as are wanted. @throws what ended the thread */
  readonly incoming: AsyncIterable<Buffer> = this.#messages();

  async *#messages(): AsyncGenerator<Buffer> {
    for (;;) {
      const message = this.#queue.shift();
      if (message !== undefined) {
        this.#post({ kind: "credit" });
        yield message;
      } else if (this.#outcome?.error !== undefined) throw this.#outcome.error;
      else if (this.#outcome !== undefined) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Asks it to unmount everything and end; `ended` tells when it has. */
  stop(): void {
    this.#post({ kind: "stop" });
  }

  /** Ends the thread itself. One that hangs is left alone. */
  async close(): Promise<void> {
    await endWorker(this.#worker, { kind: "exit" } satisfies ToTree);
  }

  #post(message: ToTree): void {
    this.#worker.postMessage(message);
  }
}
