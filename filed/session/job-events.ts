/** What a job tells its director: messages, progress, states, the result. Nobody listening any more is no error. */
import { nowMs } from "../../common/time.js";
import type { JobMessage } from "../../proto/data/backup.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { Progress } from "../../proto/generated/basalt/v1/Progress.js";

/** Events not taken by the director yet; messages beyond are dropped and counted. */
const MAX_QUEUED = 10_000;

export class JobEvents {
  /** The newest, for status queries. */
  progress: Progress = {};
  state = "starting";
  readonly #send: (event: JobEvent) => Promise<void>;
  #chain: Promise<void> = Promise.resolve();
  #queued = 0;
  #dropped = 0;
  #gone = false;

  constructor(send: (event: JobEvent) => Promise<void>) {
    this.#send = send;
  }

  readonly message = (type: JobMessage["type"], text: string): void => {
    if (this.#queued >= MAX_QUEUED) this.#dropped++;
    else this.#enqueue({ message: { type, text, timeMs: nowMs() } });
  };

  setProgress(progress: Progress): void {
    this.progress = progress;
    // A slow director gets fewer of them, not a growing pile.
    if (this.#queued < 4) this.#enqueue({ progress });
  }

  setState(state: string, detail = ""): void {
    this.state = state;
    this.#enqueue({ state: { state, detail } });
  }

  /** Sends the last event; resolves when everything was taken, or nobody listens. */
  async finish(result: JobResult): Promise<void> {
    if (this.#dropped > 0) {
      const text = `${this.#dropped} messages of this job were lost: the director took them too slowly`;
      this.#enqueue({ message: { type: "warning", text, timeMs: nowMs() } });
    }
    this.#enqueue({ progress: this.progress });
    this.#enqueue({ result });
    await this.#chain;
  }

  #enqueue(event: JobEvent): void {
    if (this.#gone) return;
    this.#queued++;
    this.#chain = this.#chain
      .then(() => (this.#gone ? undefined : this.#send(event)))
      .catch(() => {
        this.#gone = true;
      })
      .finally(() => {
        this.#queued--;
      });
  }
}
