/** Lines of a list of files. Names are bytes: nothing is decoded. */

/** Longer ones are no names. */
const MAX_LINE_BYTES = 128 * 1024;

/** Blank, tab, vertical tab, form feed and carriage return at the ends of lines are no part of a name, as in Bacula. */
const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0b, 0x0c, 0x0d]);

/** By hand: an expression would look at each blank inside of a line again and again. */
function trimmed(line: string): string {
  let start = 0;
  let end = line.length;
  while (start < end && BLANKS.has(line.charCodeAt(start))) start++;
  while (end > start && BLANKS.has(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

export class NameLines {
  readonly #onName: (name: string) => void;
  readonly #onLong: () => void;
  #open = "";
  #isLong = false;

  /** `onName` gets names as latin1 carriers; `onLong` is called for a line that is too long for one. */
  constructor(onName: (name: string) => void, onLong: () => void) {
    this.#onName = onName;
    this.#onLong = onLong;
  }

  /** Takes the next bytes, cut anywhere. */
  push(bytes: Buffer): void {
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(10, start);
      const part = bytes.latin1Slice(start, end < 0 ? bytes.length : end);
      if (this.#open.length + part.length > MAX_LINE_BYTES) this.#isLong = true;
      else this.#open += part;
      if (end < 0) return;
      this.#line();
      start = end + 1;
    }
  }

  /** A last line need not end in a newline. */
  end(): void {
    this.#line();
  }

  #line(): void {
    const name = trimmed(this.#open);
    const isLong = this.#isLong;
    this.#open = "";
    this.#isLong = false;
    if (isLong) this.#onLong();
    else if (name !== "" && !name.startsWith("#")) this.#onName(name);
  }
}
