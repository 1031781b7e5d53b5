/** Errors and warnings of one job, hooks included, on their way to the director. */
import type { JobMessage } from "../../proto/data/backup.js";

export class JobTally {
  errors = 0;
  warnings = 0;
  readonly #send: (type: JobMessage["type"], text: string) => void;

  constructor(send: (type: JobMessage["type"], text: string) => void) {
    this.#send = send;
  }

  readonly report = (type: JobMessage["type"], text: string): void => {
    if (type === "error" || type === "notsaved") this.errors++;
    else if (type === "warning") this.warnings++;
    this.#send(type, text);
  };
}
