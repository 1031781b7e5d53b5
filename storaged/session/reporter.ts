/** What a session tells the director: messages, progress, states, the result; in order, with backpressure. */

import { nowMs } from "../../common/time.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { Progress } from "../../proto/generated/basalt/v1/Progress.js";

export type MessageType = "info" | "warning" | "error" | "fatal" | "notsaved" | "skipped" | "saved" | "mount";

/** Events that wait for the director before the session waits too. */
const MAX_WAITING = 200;
/** Progress is told this often at most. */
const PROGRESS_MS = 500;

export class Reporter {
  readonly #send: (event: JobEvent) => Promise<void>;
  #chain: Promise<void> = Promise.resolve();
  #waiting = 0;
  #gone = false;
  #toldMs = 0;
  /** Last progress and state, for `status`. */
  progress: Progress = {};
  state = "running";
  detail = "";

  /**
   * `send` may reject: the director has gone. Nothing is told from then on, and nothing fails by that: whether the work
   * goes on is decided by whoever hears of the connection's end, and what can be kept must not be lost for a message.
   */
  constructor(send: (event: JobEvent) => Promise<void>) {
    this.#send = send;
  }

  /** Resolves when the director is near enough to take more. */
  message(type: MessageType, text: string): Promise<void> {
    return this.#put({ message: { type, text, timeMs: nowMs() } });
  }

  setProgress(progress: Progress): Promise<void> {
    this.progress = { ...this.progress, ...progress };
    const now = nowMs();
    // Progress is worth nothing late: it is left out while events queue up.
    if (this.#waiting > 0 || (now >= this.#toldMs && now < this.#toldMs + PROGRESS_MS))
      return Promise.resolve();
    this.#toldMs = now;
    return this.#put({ progress: this.progress });
  }

  setState(state: string, detail = ""): Promise<void> {
    this.state = state;
    this.detail = detail;
    return this.#put({ state: { state, detail } });
  }

  /** The last event; resolves when everything has been handed over. Never rejects. */
  async result(result: JobResult): Promise<void> {
    void this.#put({ result });
    await this.#chain;
  }

  #put(event: JobEvent): Promise<void> {
    if (this.#gone) return Promise.resolve();
    this.#waiting++;
    this.#chain = this.#chain
      .then(() => this.#send(event))
      .catch(() => {
        this.#gone = true;
      })
      .finally(() => {
        this.#waiting--;
      });
    return this.#waiting > MAX_WAITING ? this.#chain : Promise.resolve();
  }
}
