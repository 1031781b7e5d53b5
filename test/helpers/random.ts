/** Repeatable randomness for property tests and fuzzing: print the seed in the assertion's message. */
import { createCipheriv, createHash } from "node:crypto";

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    // Mulberry32 mixing of a Weyl sequence.
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  bytes(length: number): Buffer {
    const out = Buffer.alloc(length);
    for (let i = 0; i < length; i++) out[i] = this.below(256);
    return out;
  }
}

/** Many bytes that do not compress, the same for the same seed. */
export function noise(size: number, seed: string): Buffer {
  const key = createHash("sha256").update(seed).digest().subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** A copy of `bytes` that is damaged in one way: a bit flipped, cut short, or a few bytes overwritten. */
export function damaged(bytes: Buffer, random: Random): Buffer {
  const out = Buffer.from(bytes);
  if (out.length === 0) return out;
  const at = random.below(out.length);
  switch (random.below(4)) {
    case 0:
      return out.subarray(0, at);
    case 1:
      random.bytes(1 + random.below(8)).copy(out, at);
      return out;
    case 2:
      out.fill(0xff, at, Math.min(at + 8, out.length));
      return out;
    default:
      out[at] = out[at]! ^ (1 << random.below(8));
      return out;
  }
}
