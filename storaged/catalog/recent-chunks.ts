/**
 * Where chunks lie that a running job stored or was told are known, a while ago at most: its rows and lists of parts
 * name them soon after, and looking each one up in an index of many millions takes longer than all else there.
 */

import type { LocalJob } from "./types.js";

export interface RecentChunk {
  volume: number;
  length: number;
  owner: LocalJob;
}

/** Of the younger half. A file daemon has a few thousand files under way. */
const HALF = 4096;

export class RecentChunks {
  #epoch = 0;
  #young = new Map<string, RecentChunk>();
  #old = new Map<string, RecentChunk>();

  /** `epoch` is another one after anything was moved, removed or found damaged (Needs): what was noted is forgotten. */
  note(epoch: number, digest: Buffer, chunk: RecentChunk): void {
    this.#forgetBefore(epoch);
    if (this.#young.size >= HALF) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(digest.latin1Slice(), chunk);
  }

  get(epoch: number, digest: Buffer): RecentChunk | undefined {
    this.#forgetBefore(epoch);
    const key = digest.latin1Slice();
    return this.#young.get(key) ?? this.#old.get(key);
  }

  #forgetBefore(epoch: number): void {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#young = new Map();
    this.#old = new Map();
  }
}
