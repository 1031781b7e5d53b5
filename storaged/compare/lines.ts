/** Lines of a file that a guest wrote, out of pieces of it: of whatever length and whatever bytes. */

const LINE_END = 0x0a;

/** `onLine` hears lines without their ends, as latin1 carriers. Lines longer than `maxBytes` are counted and passed. */
export class Lines {
  readonly #onLine: (line: string) => void;
  readonly #maxBytes: number;
  /** The line that goes on in the next piece. */
  #open: Buffer[] = [];
  #openBytes = 0;
  #passing = false;
  /** Lines that were passed. */
  tooLong = 0;

  constructor(onLine: (line: string) => void, maxBytes: number) {
    this.#onLine = onLine;
    this.#maxBytes = maxBytes;
  }

  push(piece: Buffer): void {
    let from = 0;
    for (let end = piece.indexOf(LINE_END); end >= 0; end = piece.indexOf(LINE_END, from)) {
      this.#take(piece.subarray(from, end));
      this.#finish();
      from = end + 1;
    }
    // A copy: what is kept must not hold on to a large piece.
    if (from < piece.length) this.#take(piece.subarray(from), true);
  }

  /** The last line need not have an end. */
  end(): void {
    if (this.#openBytes > 0 || this.#passing) this.#finish();
  }

  #take(bytes: Buffer, copy = false): void {
    if (this.#passing) return;
    if (this.#openBytes + bytes.length > this.#maxBytes) {
      this.#passing = true;
      this.#open = [];
      return;
    }
    this.#openBytes += bytes.length;
    this.#open.push(copy ? Buffer.from(bytes) : bytes);
  }

  #finish(): void {
    const { length } = this.#open;
    const line = length === 1 ? this.#open[0]! : Buffer.concat(this.#open);
    this.#open = [];
    this.#openBytes = 0;
    if (this.#passing) this.tooLong++;
    else this.#onLine(line.latin1Slice());
    this.#passing = false;
  }
}
