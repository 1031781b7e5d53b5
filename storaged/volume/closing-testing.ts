/** What tests of a job's closing begin with. */
import { contentDigest, encodePart, PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { decompressInto } from "../../common/format/zstd.js";
import { buildClosing, type Closing, type ClosingFrame } from "./closing.js";
import { blocksOf } from "./fixture.js";
import { checkClosingFrame } from "./frame-check.js";
import { walkMember } from "./tar-walk.js";

/** Rows of a list that a thread builds, whatever it holds. */
export const IN_THREAD = { rows: Number.POSITIVE_INFINITY };

export const HELLO = Buffer.from("hello\n");

export function rowOf(key: string, type: EntryType, change: Partial<Row> = {}): Row {
  return {
    ...emptyRow(key, type),
    mode: type === EntryType.directory ? 0o755 : 0o644,
    mtimeSec: 1_600_000_000,
    mtimeNsec: 42,
    ...change,
  };
}

/** A file of one chunk. */
export const small = (key: string, data: Buffer, change: Partial<Row> = {}) =>
  rowOf(key, EntryType.file, { size: data.length, content: contentDigest(data), ...change });

/** Two chunks around a run of zeros. */
export const PARTS = Buffer.alloc(3 * PART_BYTES);
encodePart(
  PARTS,
  encodePart(PARTS, encodePart(PARTS, 0, 6, contentDigest(HELLO)), 2_000_000, ZERO_DIGEST),
  6,
  contentDigest(HELLO),
);
/** Of the rows, in blocks of so many. (Default: one block) */
export function closing(rows: readonly Row[], change: Partial<Closing> = {}, perBlock?: number): Closing {
  return {
    jobId: 12,
    selfContained: true,
    head: [["client", "hv1\nx"]],
    blocks: blocksOf(rows, perBlock),
    rows: rows.length,
    locate: async (queries) => queries.map(({ parts }) => (parts ? "3@Old,12@Full-0001" : "12@Full-0001")),
    partsOf: async function* () {
      yield PARTS;
    },
    ...change,
  };
}

/** Names (with type) of all members, and the manifest's text. */
export async function built(
  input: Closing,
): Promise<{ members: string[]; manifest: string; frames: ClosingFrame[] }> {
  const frames: ClosingFrame[] = [];
  await buildClosing(input, async (frame) => {
    frames.push(frame);
  });
  const members: string[] = [];
  let manifest = "";
  for (const { rawBytes, data } of frames) {
    const raw = Buffer.alloc(rawBytes);
    decompressInto(raw, data);
    checkClosingFrame(raw, input.jobId);
    for (let at = 0; at < raw.length; ) {
      const member = walkMember(raw, at);
      if (member.size > 0) manifest += raw.latin1Slice(member.dataAt, member.dataAt + member.size);
      members.push(`${member.type} ${member.name}${member.target === "" ? "" : ` > ${member.target}`}`);
      at = member.end;
    }
  }
  return { members, manifest, frames };
}
