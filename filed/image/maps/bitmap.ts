/** Bitmaps in the order of ext: bit 0 is the lowest bit of the first byte. Set means used. */

/** Sets the bits from `from` up to, not including, `to`. */
export function setBits(bitmap: Buffer, from: number, to: number): void {
  for (let bit = from; bit < to; bit++) bitmap[bit >> 3]! |= 1 << (bit & 7);
}

/** Are all bits from `from` up to `to` set? */
export function areSet(bitmap: Buffer, from: number, to: number): boolean {
  for (let bit = from; bit < to; bit++) if (!(bitmap[bit >> 3]! & (1 << (bit & 7)))) return false;
  return true;
}

/** The first bit from `from` on that is set (or clear), or `to`. Most bitmaps are long runs: 32 bits at a time. */
function next(bitmap: Buffer, from: number, to: number, set: boolean): number {
  const skip = set ? 0 : 0xffffffff;
  let bit = from;
  while (bit < to) {
    if ((bit & 31) === 0 && bit + 32 <= to && bitmap.readUInt32LE(bit >> 3) === skip) {
      bit += 32;
      continue;
    }
    if (((bitmap[bit >> 3]! >> (bit & 7)) & 1) === (set ? 1 : 0)) return bit;
    bit += 1;
  }
  return to;
}

/** The runs of clear bits among the first `bits`, as [first, one behind the last]. */
export function* clearRuns(bitmap: Buffer, bits: number): Generator<readonly [from: number, to: number]> {
  let at = next(bitmap, 0, bits, false);
  while (at < bits) {
    const end = next(bitmap, at, bits, true);
    yield [at, end];
    at = next(bitmap, end, bits, false);
  }
}

const ONES = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count += 1;
  return count;
});

/** How many of the first `bits` are clear. */
export function countClear(bitmap: Buffer, bits: number): number {
  const whole = bits >> 3;
  let used = 0;
  for (let at = 0; at < whole; at++) used += ONES[bitmap[at]!]!;
  for (let bit = whole * 8; bit < bits; bit++) used += (bitmap[bit >> 3]! >> (bit & 7)) & 1;
  return bits - used;
}
