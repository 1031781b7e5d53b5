/** Restores a job as filed would, into memory: every byte comes from a volume and is checked against its digest. */

import { contentDigest } from "../../common/format/content.js";
import { EntryType, type Row } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { decompressInto } from "../../common/format/zstd.js";
import { decodeData } from "../../proto/data/restore.js";
import type { Catalog } from "../catalog/catalog.js";
import type { DeviceResource } from "../config.js";
import { FrameSource } from "../session/frame-source.js";
import { RestorePlan } from "../session/restore-plan.js";
import type { BlockKind, PlanReading } from "../session/restore-reading.js";
import type { Store } from "../store/store.js";
import { describe, type Snapshot } from "./tree.js";

export interface RestoreParts {
  catalog: Catalog;
  store: Store;
  devices: () => ReadonlyMap<string, DeviceResource>;
}

/** What the layers `jobIds` (oldest first) give back. @throws Error naming what cannot be restored */
export function restoreTree(parts: RestoreParts, jobIds: readonly number[]): Promise<Snapshot> {
  return parts.catalog.withListsOf(jobIds, () => restoreListed(parts, jobIds));
}

async function restoreListed(parts: RestoreParts, jobIds: readonly number[]): Promise<Snapshot> {
  const plan = new RestorePlan(parts.catalog.file, ":memory:");
  try {
    const { failed } = plan.build(jobIds, [{ key: "", include: true, recursive: true }]);
    const reading = plan.reading();
    if (failed > 0) {
      const paths = reading.unplaced(0).map(({ path }) => path);
      throw new Error(`content is nowhere: ${paths.join(" ")}`);
    }
    const run = new ModelRestore(reading);
    run.make();
    await run.frames(new FrameSource(parts, async () => undefined));
    return run.finish();
  } finally {
    plan.close();
  }
}

interface Made {
  row: Row;
  content: Buffer;
  /** Bytes of the content that have come. */
  filled: number;
  group: string | undefined;
}

class ModelRestore {
  readonly #reading: PlanReading;
  readonly #made = new Map<string, Made>();

  constructor(reading: PlanReading) {
    this.#reading = reading;
  }

  #rows(kind: BlockKind): Row[] {
    const rows: Row[] = [];
    for (let seq = 0; seq < this.#reading.blockCount(kind); seq++) {
      const block = this.#reading.block(kind, seq);
      if (block !== undefined) rows.push(...decodeBlock(block));
    }
    return rows;
  }

  make(): void {
    for (const row of this.#rows("make")) this.#put(row);
  }

  #put(row: Row): Made {
    const known = this.#made.get(row.key);
    if (known !== undefined) return known;
    const made = { row, content: Buffer.alloc(row.size), filled: 0, group: row.group };
    this.#made.set(row.key, made);
    return made;
  }

  async frames(source: FrameSource): Promise<void> {
    try {
      for (let next = this.#reading.nextFrame(); next !== undefined; next = this.#reading.nextFrame()) {
        const frame = await source.read(next.volume, next.offset, next.bytes);
        this.#take(Buffer.concat([next.head, frame]));
      }
    } finally {
      await source.close();
    }
  }

  #take(message: Buffer): void {
    const { rows, pieces, rawBytes, frame } = decodeData(message);
    const raw = Buffer.alloc(rawBytes);
    decompressInto(raw, frame);
    for (const { row, fileOffset, frameOffset, length, digest } of pieces) {
      const bytes = raw.subarray(frameOffset, frameOffset + length);
      if (!contentDigest(bytes).equals(digest))
        throw new Error(`${rows[row]!.key}: content does not have its digest`);
      const made = this.#put(rows[row]!);
      bytes.copy(made.content, fileOffset);
      made.filled += length;
    }
  }

  finish(): Snapshot {
    const parts = new Set(this.#rows("finish").map(({ key }) => key));
    for (const { row, filled } of this.#made.values()) {
      if (row.type === EntryType.file && !parts.has(row.key) && filled !== row.size) {
        throw new Error(`${row.key}: ${filled} bytes of ${row.size} came`);
      }
    }
    for (const row of this.#rows("links")) {
      const leader = this.#made.get(row.group ?? "");
      if (leader === undefined) throw new Error(`${row.key}: no file to link to`);
      this.#made.set(row.key, { ...leader, group: row.group });
    }
    const folders = this.#rows("folders").map(({ key }) => key);
    const directories = [...this.#made.values()].filter(({ row }) => row.type === EntryType.directory);
    if (folders.length !== directories.length) throw new Error("directories without their metadata");
    return this.#snapshot();
  }

  #snapshot(): Snapshot {
    const members = new Map<string, number>();
    for (const { group } of this.#made.values()) {
      if (group !== undefined) members.set(group, (members.get(group) ?? 0) + 1);
    }
    const out = new Map<string, string>();
    for (const key of [...this.#made.keys()].sort()) {
      const { row, content, group } = this.#made.get(key)!;
      const alone = group === undefined || members.get(group) === 1;
      const { type, mode, uid, mtimeSec, target } = row;
      out.set(
        key,
        describe({ type, mode, uid, mtimeSec, content, target, group: alone ? undefined : group }),
      );
    }
    return out;
  }
}
