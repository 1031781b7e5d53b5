/** Which of the records are believed that are found by searching behind damage. */
import { GarbledInput } from "../../../common/format/varint.js";
import type { VolumeItem } from "../reader.js";
import { MAX_FRAME_BYTES } from "../zstd-frame.js";

/**
 * Holds records back that were found by searching behind damage: they may be the content of a file, which ends with
 * the frame that it lies in. They count when what follows goes on for longer than that, or to the end of the volume.
 * Bodies are copied: those of small records lie in much larger buffers.
 */
export class SearchedRun {
  #held: (() => void)[] = [];
  /** Where a searched run began; undefined when everything is believed. */
  #start: number | undefined;

  record(body: Buffer, take: (body: Buffer) => void): void {
    if (this.#start === undefined) {
      take(body);
      return;
    }
    const copy = Buffer.from(body);
    this.#held.push(() => take(copy));
  }

  passed(item: VolumeItem): void {
    if (item.type === "damage" && item.searched) {
      this.#held = [];
      this.#start = item.end;
    } else if (this.#start !== undefined && item.end - this.#start > MAX_FRAME_BYTES) this.end();
  }

  end(): void {
    this.#start = undefined;
    for (const take of this.#held.splice(0)) {
      try {
        take();
      } catch (error) {
        if (!(error instanceof GarbledInput)) throw error;
      }
    }
  }
}
