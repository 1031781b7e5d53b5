/**
 * Little-endian base-128 integers (as in protocol buffers) over a growing buffer. Values up to 2^53-1; signed
 * ones are folded (zigzag) by arithmetic, not by 32-bit operators, so that times before 1970 and after 2038 fit.
 */

/** Thrown by a reader when input is truncated or a number has no end; callers add what was being read. */
export class GarbledInput extends Error {}

/** Append-only byte buffer; `bytes()` is a view that the next write may invalidate. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacity = 4096) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.#length;
  }

  #room(bytes: number): void {
    const need = this.#length + bytes;
    if (need <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(need, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  u8(value: number): void {
    this.#room(1);
    this.#buffer[this.#length++] = value;
  }

  u32(value: number): void {
    this.#room(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
  }

  uint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an unsigned integer: ${value}`);
    this.#room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) + 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  int(value: number): void {
    this.uint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  /** Bytes with their length in front. */
  blob(value: Uint8Array): void {
    this.uint(value.length);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** A latin1-carried string with its length in front. */
  latin1(value: string): void {
    this.uint(value.length);
    this.text(value);
  }

  /** A latin1-carried string alone. */
  text(value: string): void {
    this.#room(value.length);
    this.#length += this.#buffer.latin1Write(value, this.#length);
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }
}

/** Reader over one buffer; every method throws GarbledInput instead of reading past the end. */
export class ByteReader {
  at = 0;
  readonly end: number;
  readonly #buffer: Buffer;

  constructor(buffer: Buffer, at = 0, end = buffer.length) {
    this.#buffer = buffer;
    this.at = at;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  u8(): number {
    if (this.at >= this.end) throw new GarbledInput("input ends early");
    return this.#buffer[this.at++]!;
  }

  u32(): number {
    if (this.at + 4 > this.end) throw new GarbledInput("input ends early");
    const value = this.#buffer.readUInt32LE(this.at);
    this.at += 4;
    return value;
  }

  uint(): number {
    const buffer = this.#buffer;
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      if (this.at >= this.end) throw new GarbledInput("input ends early");
      const byte = buffer[this.at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new GarbledInput("number too large");
        return value;
      }
      scale *= 0x80;
    }
    throw new GarbledInput("number without end");
  }

  int(): number {
    const folded = this.uint();
    return folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
  }

  raw(length: number): Buffer {
    if (this.at + length > this.end) throw new GarbledInput("input ends early");
    const value = this.#buffer.subarray(this.at, this.at + length);
    this.at += length;
    return value;
  }

  /** Leaves out so many bytes. */
  pass(length: number): void {
    if (this.at + length > this.end) throw new GarbledInput("input ends early");
    this.at += length;
  }

  blob(): Buffer {
    return this.raw(this.uint());
  }

  latin1(): string {
    const length = this.uint();
    if (this.at + length > this.end) throw new GarbledInput("input ends early");
    const value = this.#buffer.latin1Slice(this.at, this.at + length);
    this.at += length;
    return value;
  }

  rest(): Buffer {
    return this.raw(this.end - this.at);
  }
}
