/** Cells of disk images that were read: the ones used last, up to a limit in bytes. */

/** Images are read and kept in aligned cells of this many bytes; the last one of an image may be shorter. */
export const CELL_BYTES = 64 * 1024;

/** One for all cells of zeros. */
export const ZERO_CELL: Buffer = Buffer.alloc(CELL_BYTES);

export class CellCache {
  readonly #cells = new Map<string, Buffer>();
  readonly #limit: number;
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(image: number, cell: number): Buffer | undefined {
    const name = `${image}:${cell}`;
    const found = this.#cells.get(name);
    if (found === undefined) return undefined;
    this.#cells.delete(name);
    this.#cells.set(name, found);
    return found;
  }

  put(image: number, cell: number, bytes: Buffer): void {
    const name = `${image}:${cell}`;
    this.#drop(name);
    this.#cells.set(name, bytes);
    this.#bytes += costOf(bytes);
    while (this.#bytes > this.#limit) this.#drop(this.#cells.keys().next().value!);
  }

  #drop(name: string): void {
    const bytes = this.#cells.get(name);
    if (bytes === undefined) return;
    this.#cells.delete(name);
    this.#bytes -= costOf(bytes);
  }
}

/** Zeros are one buffer for all, but their names are not. */
function costOf(bytes: Buffer): number {
  return bytes.buffer === ZERO_CELL.buffer ? 128 : bytes.length;
}
