/** Asks storaged, many at a time, whether content that a list vouches for may be named by a row of this job. */
import { DIGEST_BYTES } from "../../common/format/content.js";

/** Questions per message. */
const BATCH = 256;

export interface ClaimBatchOptions {
  claim: (digests: Buffer) => Promise<Buffer>;
  onFailure: (error: unknown) => void;
}

export class ClaimBatch {
  readonly #options: ClaimBatchOptions;
  #digests: Buffer[] = [];
  #answers: ((known: boolean) => void)[] = [];
  #open = 0;

  constructor(options: ClaimBatchOptions) {
    this.#options = options;
  }

  /** Questions without an answer. */
  get open(): number {
    return this.#open;
  }

  /** `content` is a digest or a parts identity; `answer` is called later, in order. */
  ask(content: Buffer, answer: (known: boolean) => void): void {
    this.#open++;
    this.#digests.push(content);
    this.#answers.push(answer);
    if (this.#digests.length >= BATCH) this.flush();
  }

  /** Sends the questions collected so far. */
  flush(): void {
    if (this.#digests.length === 0) return;
    const answers = this.#answers;
    const digests = Buffer.concat(this.#digests, this.#digests.length * DIGEST_BYTES);
    this.#digests = [];
    this.#answers = [];
    this.#options
      .claim(digests)
      .then((known) => {
        this.#open -= answers.length;
        for (let i = 0; i < answers.length; i++) answers[i]!(known[i] === 1);
      })
      .catch((error: unknown) => this.#options.onFailure(error));
  }
}
