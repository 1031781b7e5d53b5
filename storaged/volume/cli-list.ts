/** `basalt volume ls`: what a volume holds, in the manner of `tar -tv`. */
import { extract, type Header } from "tar-stream";
import { MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { RecordKind } from "../../common/format/frame.js";
import { bytesOfText, displayPath } from "../../common/format/path.js";
import { GarbledInput } from "../../common/format/varint.js";
import type { Print } from "./cli.js";
import { unpackFrame } from "./frame-check.js";
import type { VolumeLabel } from "./label.js";
import { DamagedVolume, type VolumeReader } from "./reader.js";
import { decodeChange, decodeJobBegin, decodeJobEnd, type JobEndRecord } from "./records.js";
import { walkMember } from "./tar-walk.js";

/** Prints label, jobs and (unless `jobsOnly`) members; damage throws DamagedVolume behind what was good. */
export async function listVolume(reader: VolumeReader, print: Print, jobsOnly: boolean): Promise<boolean> {
  const scratch = Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES);
  for await (const item of reader.scan({ frames: !jobsOnly })) {
    try {
      if (item.type === "label") await print(labelText(item.label));
      else if (item.type === "record") await print(recordText(item.kind, item.body));
      else if (item.type === "frame" && item.frame !== undefined) {
        await print(await membersText(unpackFrame(scratch, item.frame, item.index.rawBytes)));
      }
    } catch (error) {
      if (error instanceof GarbledInput) throw new DamagedVolume(reader.path, item.offset, error.message);
      throw error;
    }
  }
  return true;
}

/** One line about a volume. */
export function labelText(label: VolumeLabel): string {
  const made = isoTime(label.createdMs);
  return `Volume ${label.volume}: pool ${shown(label.pool)}, media type ${shown(label.mediaType)}, storage ${shown(label.storage)}, labelled ${made}, uuid ${label.volumeUuid}\n`;
}

function recordText(kind: RecordKind, body: Buffer): string {
  if (kind === RecordKind.jobBegin) {
    const job = decodeJobBegin(body);
    const start = isoTime(job.startMs);
    return `Job ${job.jobId} ${shown(job.job)}: ${shown(job.level)} of client ${shown(job.client)}, fileset ${shown(job.fileSet)}, started ${start}, uuid ${job.jobUuid}\n`;
  }
  if (kind === RecordKind.jobEnd) {
    return endText(decodeJobEnd(body));
  }
  if (kind !== RecordKind.catalog) return "";
  const change = decodeChange(body);
  if (change?.op === "delete") {
    const jobs = change.jobs.map(({ jobUuid, revision }) => `${jobUuid} up to revision ${revision}`);
    return `Deleted: ${jobs.join(", ")}\n`;
  }
  return change === undefined
    ? "Change of a later kind\n"
    : `Content of job ${change.job.jobId} ${shown(change.job.job)} here is in use, uuid ${change.job.jobUuid}\n`;
}

function endText(job: JobEndRecord): string {
  const revision = job.revision === 1 ? "" : `, revision ${job.revision}`;
  const over = [
    ["parents", job.parents],
    ["Bases", job.bases],
  ] as const;
  const lists = over.map(([what, uuids]) =>
    uuids.length === 0 ? "" : `, ${what} ${shown(uuids.join(" "))}`,
  );
  const ended = isoTime(job.endMs);
  const how = job.type === "I" ? ", incomplete" : "";
  return `End of job ${job.jobId}${revision}${how}: status ${shown(job.status)}, ${job.files} files, ${job.bytes} bytes, ended ${ended}, on ${shown(job.volumes.join(" "))}${lists.join("")}\n`;
}

/** Dates end before the largest number that a record may hold. */
function isoTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString();
}

// Whatever a volume says is printed without control characters.
function shown(text: string): string {
  return displayPath(bytesOfText(text));
}

async function membersText(raw: Buffer): Promise<string> {
  // Nothing that a general reader of tar would have to be trusted with.
  for (let at = 0; at < raw.length; ) at = walkMember(raw, at).end;
  // The option is missing from the package's type definitions.
  const options: object = { filenameEncoding: "latin1" };
  const members = extract(options);
  members.end(raw);
  let out = "";
  try {
    for await (const entry of members) {
      out += memberLine(entry.header);
      entry.resume();
    }
  } catch (cause) {
    throw new GarbledInput(`tar members are not readable: ${(cause as Error).message}`);
  }
  return out;
}

const LETTERS: Readonly<Record<string, string>> = {
  file: "-",
  link: "h",
  symlink: "l",
  "character-device": "c",
  "block-device": "b",
  directory: "d",
  fifo: "p",
};

function memberLine(header: Header): string {
  const pax = (header.pax ?? {}) as Record<string, unknown>;
  // Names in a ustar header come as latin1, those of pax headers decoded from UTF-8.
  const name = pax.path === undefined ? header.name : bytesOfText(header.name);
  const target = pax.linkpath === undefined ? (header.linkname ?? "") : bytesOfText(header.linkname ?? "");
  const device = header.type === "character-device" || header.type === "block-device";
  const size = device ? `${header.devmajor},${header.devminor}` : String(header.size);
  const owner = `${header.uid}/${header.gid}`;
  const time = timeText(header.mtime);
  const link = header.type === "symlink" ? " -> " : header.type === "link" ? " link to " : "";
  const mode = `${LETTERS[header.type] ?? "?"}${modeText(header.mode)}`;
  const shownTarget = link === "" ? "" : `${link}${displayPath(target)}`;
  return `${mode} ${owner} ${size.padStart(19 - Math.min(owner.length, 18))} ${time} ${displayPath(name)}${shownTarget}\n`;
}

function timeText(time: Date): string {
  return Number.isNaN(time.getTime()) ? "?" : time.toISOString().slice(0, 16).replace("T", " ");
}

/** `rwxr-xr-x` with set-id and sticky bits. */
export function modeText(mode: number): string {
  let out = "";
  for (let shift = 6; shift >= 0; shift -= 3) {
    const bits = (mode >> shift) & 7;
    const special = (mode & [0o4000, 0o2000, 0o1000][(6 - shift) / 3]!) !== 0;
    const set = shift === 0 ? "t" : "s";
    const x = (bits & 1) !== 0;
    const last = special ? (x ? set : set.toUpperCase()) : x ? "x" : "-";
    out += `${(bits & 4) !== 0 ? "r" : "-"}${(bits & 2) !== 0 ? "w" : "-"}${last}`;
  }
  return out;
}
