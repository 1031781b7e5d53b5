/** The end of a job on its volumes: closing members and manifest, then the record that makes it a finished job. */

import { DIGEST_BYTES, PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { RecordKind } from "../../common/format/frame.js";
import { ByteWriter } from "../../common/format/varint.js";
import type { BackupTotals } from "../../proto/data/backup.js";
import type { Catalog } from "../catalog/catalog.js";
import type { ContentPlace } from "../catalog/queries.js";
import type { BegunJob, JobCounts } from "../catalog/types.js";
import { asBuffer } from "../catalog/worker-rpc.js";
import { buildClosing, type ContentQuery, formatWhere } from "../volume/closing.js";
import type { JobBeginRecord, JobEndRecord } from "../volume/records.js";
import type { JobVolumes } from "./job-volumes.js";

export interface ClosingJob {
  catalog: Catalog;
  job: Pick<BegunJob, "id" | "selfContained" | "chainUuids" | "baseUuids">;
  begin: JobBeginRecord;
  volumes: JobVolumes;
  signal: AbortSignal;
}

export interface JobEnding {
  status: "T" | "W";
  endMs: number;
  counts: Pick<JobCounts, "rows" | "files" | "bytes">;
  totals: BackupTotals;
  /** Of the list. (Default: 1) */
  revision?: number;
  /** The list of a run that was committed before is written anew. (Default: false) */
  listOnly?: boolean;
}

/** No chunks: a count of zero. */
const NO_ENTRIES = (() => {
  const out = new ByteWriter(8);
  out.uint(0);
  return new Uint8Array(out.bytes());
})();

/** Appends everything that ends the job; nothing of it is durable before the volumes are synced. */
export async function closeJob(closing: ClosingJob, ending: JobEnding): Promise<void> {
  const { catalog, job, begin, volumes, signal } = closing;
  const first = volumes.frames;
  const { revision = 1, listOnly = false } = ending;
  await buildClosing(
    {
      jobId: begin.jobId,
      selfContained: job.selfContained,
      head: headOf(closing, ending),
      timeMs: ending.endMs,
      revision,
      listOnly,
      blocks: catalog.blocks([job.id]),
      rows: ending.counts.rows,
      locate: (queries) => locate(closing, queries),
      partsOf: (content) => partsOf(closing, content),
      signal,
    },
    async (frame) => {
      const placed = await volumes.append(frame);
      await catalog.writer.addFrames(job.id, [{ ...placed, rawBytes: frame.rawBytes, entries: NO_ENTRIES }]);
    },
  );
  const record: JobEndRecord = {
    ...begin,
    revision,
    closing: [first, volumes.frames - first],
    selfContained: job.selfContained,
    totals: ending.totals,
    status: ending.status,
    endMs: ending.endMs,
    rows: ending.counts.rows,
    files: ending.counts.files,
    bytes: ending.counts.bytes,
    parents: job.chainUuids,
    bases: job.baseUuids,
    volumes: volumes.names,
  };
  await volumes.start();
  await catalog.writer.ending(job.id, volumes.current!.record.id);
  await volumes.appendRecord(RecordKind.jobEnd, record);
}

function headOf({ begin, job, volumes }: ClosingJob, ending: JobEnding): [string, string][] {
  return [
    ["uuid", begin.jobUuid],
    ["jobid", String(begin.jobId)],
    ["job", begin.job],
    ["client", begin.client],
    ["fileset", begin.fileSet],
    ["level", begin.level],
    ["type", typeof begin.type === "string" ? begin.type : "B"],
    ["status", ending.status],
    ["start", String(begin.startMs)],
    ["end", String(ending.endMs)],
    ["revision", String(ending.revision ?? 1)],
    ["parents", job.chainUuids.join(",")],
    ["bases", job.baseUuids.join(",")],
    ["copyof", typeof begin.copyOf === "string" ? begin.copyOf : ""],
    ["volumes", volumes.names.join("|")],
  ];
}

async function locate(closing: ClosingJob, queries: readonly ContentQuery[]): Promise<string[]> {
  const { catalog, job } = closing;
  const plain = queries.filter(({ parts }) => !parts).map(({ content }) => content);
  const places = await catalog.reader.chunkPlaces(job.id, new Uint8Array(Buffer.concat(plain)));
  const texts: string[] = [];
  let next = 0;
  for (const { content, parts } of queries) {
    texts.push(formatWhere(parts ? await placesOfParts(closing, content) : (places[next++] ?? [])));
  }
  return texts;
}

/** All places that hold any part of a content. */
async function placesOfParts(closing: ClosingJob, content: Buffer): Promise<ContentPlace[]> {
  const found = new Map<string, ContentPlace>();
  for await (const parts of partsOf(closing, content)) {
    const digests: Buffer[] = [];
    for (let at = 0; at < parts.length; at += PART_BYTES) {
      const digest = parts.subarray(at + PART_BYTES - DIGEST_BYTES, at + PART_BYTES);
      if (!digest.equals(ZERO_DIGEST)) digests.push(digest);
    }
    const all = await closing.catalog.reader.chunkPlaces(
      closing.job.id,
      new Uint8Array(Buffer.concat(digests)),
    );
    for (const [place] of all) if (place !== undefined) found.set(`${place.jobId}@${place.volume}`, place);
  }
  return [...found.values()];
}

async function* partsOf({ catalog, job }: ClosingJob, content: Buffer): AsyncGenerator<Buffer, void> {
  const identity = new Uint8Array(content);
  for (let after = -1; ; ) {
    const segment = await catalog.reader.partsAfter(job.id, identity, after);
    if (segment === undefined) return;
    after = segment.seq;
    yield asBuffer(segment.parts);
  }
}
