/**
 * A small stand-in for a list, by which the lists that are most alike are found without reading every one against
 * every other: those of its entries whose hash is least. Of two lists the same entries are kept, so what both keep is
 * a fair sample of what they share; a list of fewer entries than a sketch holds is kept whole.
 */

import type { Row } from "../../common/format/row.js";
import { ROW_BYTES } from "./costs.js";

/** Entries that a sketch holds: 16 bytes each. */
const SIZE = 1024;
/** Hashes are below it. */
const RANGE = 2 ** 53;

/** Made entry by entry. */
export class SketchMaker {
  readonly #kept: [hash: number, weight: number][] = [];
  /** Entries with hashes from here on are not kept. */
  #limit = RANGE;

  add(row: Row): void {
    const hash = hashOf(row);
    if (hash >= this.#limit) return;
    this.#kept.push([hash, row.size + ROW_BYTES]);
    if (this.#kept.length >= 2 * SIZE) this.#cut();
  }

  #cut(): void {
    this.#kept.sort((a, b) => a[0] - b[0]);
    if (this.#kept.length <= SIZE) return;
    this.#limit = this.#kept[SIZE]![0];
    this.#kept.length = SIZE;
  }

  finish(): Sketch {
    this.#cut();
    const hashes = Float64Array.from(this.#kept, ([hash]) => hash);
    return { hashes, weights: Float64Array.from(this.#kept, ([, weight]) => weight), limit: this.#limit };
  }
}

export interface Sketch {
  /** Rising. */
  hashes: Float64Array;
  /** Bytes, by hash. */
  weights: Float64Array;
  /** All entries with hashes below it are there. */
  limit: number;
}

/** What two lists share, as estimated, in bytes of rows and files. */
export function sharedWeight(a: Sketch, b: Sketch): number {
  const limit = Math.min(a.limit, b.limit);
  let weight = 0;
  for (let i = 0, j = 0; i < a.hashes.length && j < b.hashes.length; ) {
    const order = a.hashes[i]! - b.hashes[j]!;
    if (order === 0 && a.hashes[i]! < limit) weight += a.weights[i]!;
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
  return weight * (RANGE / limit);
}

/** Of path, content and metadata: equal for entries that are the same (FNV-1a in two lanes). */
function hashOf(row: Row): number {
  let a = 0x811c9dc5;
  let b = 0x01000193;
  const mix = (value: number): void => {
    a = Math.imul(a ^ value, 0x01000193);
    b = Math.imul(b ^ value, 0x85ebca6b);
    b ^= b >>> 15;
  };
  const { key, content, target } = row;
  for (let i = 0; i < key.length; i++) mix(key.charCodeAt(i));
  for (let i = 0; i < target.length; i++) mix(target.charCodeAt(i));
  for (const value of [row.type, row.mode, row.uid, row.gid, row.size, row.mtimeSec, row.mtimeNsec])
    mix(value);
  if (content !== undefined) for (let i = 0; i < 8; i++) mix(content[i]!);
  a ^= a >>> 13;
  a = Math.imul(a, 0xc2b2ae35);
  a ^= a >>> 16;
  return (a >>> 0) * 2 ** 21 + ((b >>> 0) & 0x1f_ffff);
}
