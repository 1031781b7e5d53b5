/**
 * Bootstrap files: which sessions of which volumes a restore reads. The format is Bacula's (main manual, chapter "The
 * Bootstrap File"): `Keyword=Value` lines, a block for each Volume, `#` comments. FileIndex counts the entries of a
 * run's own list in path order, from 1; deletions do not count.
 */

import { BackupError } from "../../common/errors.js";

/** From and to, both included. */
export type Range = readonly [from: number, to: number];

/** One block: undefined fields take everything. */
export interface BootstrapBlock {
  /** Names; a run that lies on one of them is meant. */
  volumes: string[];
  mediaType?: string;
  storage?: string;
  sessionIds?: Range[];
  /** Seconds since 1970. */
  sessionTimes?: Range[];
  jobIds?: Range[];
  client?: string;
  /** Name of a Job resource, or unique name of a run. */
  job?: string;
  fileIndex?: Range[];
}

/** What is written of one run. */
export interface BootstrapRun {
  jobId: number;
  storage: string;
  sessionId: number;
  sessionTime: number;
  extents: readonly BootstrapExtent[];
  fileIndex: readonly Range[];
}

/** Where a run lies on a volume: bytes of its file. */
export interface BootstrapExtent {
  volume: string;
  mediaType: string;
  slot: number;
  first: number;
  /** Behind its last byte. */
  end: number;
}

/** More than any file that a person or a job writes. */
export const MAX_BOOTSTRAP_BYTES = 16 * 1024 * 1024;

/** Keywords that choose where on a volume to begin, or are for people: the runs say where they lie. */
const PASSED_OVER = new Set([
  "slot",
  "device",
  "volfile",
  "volblock",
  "voladdr",
  "count",
  "jobtype",
  "joblevel",
  "stream",
]);

/** @throws BackupError BOOTSTRAP_INVALID naming the line */
export function parseBootstrap(text: string, name: string): BootstrapBlock[] {
  const blocks: BootstrapBlock[] = [];
  let storage: string | undefined;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const invalid = (why: string) => new BackupError("BOOTSTRAP_INVALID", `${name}:${index + 1}: ${why}`);
    const match = /^([A-Za-z][A-Za-z _]*?)\s*=\s*(?:"([^"]*)"|([^"]*?))\s*(?:#.*)?$/.exec(trimmed);
    if (match === null) throw invalid(`"${trimmed.slice(0, 80)}" is no Keyword=Value`);
    const keyword = match[1]!.toLowerCase().replace(/[ _]/g, "");
    const value = match[2] ?? match[3] ?? "";
    if (keyword === "storage") {
      storage = value;
      continue;
    }
    if (keyword === "volume") {
      const volumes = value
        .split("|")
        .map((each) => each.trim())
        .filter((each) => each !== "");
      if (volumes.length === 0) throw invalid("Volume without a name");
      blocks.push({ volumes, ...(storage === undefined ? {} : { storage }) });
      continue;
    }
    const block = blocks.at(-1);
    if (block === undefined) throw invalid(`${match[1]} before the first Volume`);
    const ranges = (): Range[] => {
      const found = parseRanges(value);
      if (found === undefined) throw invalid(`${match[1]}: "${value}" is no list of numbers and ranges`);
      return found;
    };
    if (!setField(block, keyword, value, ranges) && !PASSED_OVER.has(keyword))
      throw invalid(`${match[1]} is not supported in bootstrap files here`);
  }
  if (blocks.length === 0) throw new BackupError("BOOTSTRAP_INVALID", `${name} names no Volume`);
  return blocks;
}

function setField(block: BootstrapBlock, keyword: string, value: string, ranges: () => Range[]): boolean {
  switch (keyword) {
    case "mediatype":
      block.mediaType = value;
      return true;
    case "client":
      block.client = value;
      return true;
    case "job":
      block.job = value;
      return true;
    case "volsessionid":
      block.sessionIds = [...(block.sessionIds ?? []), ...ranges()];
      return true;
    case "volsessiontime":
      block.sessionTimes = [...(block.sessionTimes ?? []), ...ranges()];
      return true;
    case "jobid":
      block.jobIds = [...(block.jobIds ?? []), ...ranges()];
      return true;
    case "fileindex":
      block.fileIndex = [...(block.fileIndex ?? []), ...ranges()];
      return true;
    default:
      return false;
  }
}

/** `1-8,11`; undefined when it is something else. */
function parseRanges(text: string): Range[] | undefined {
  const ranges: Range[] = [];
  for (const part of text.split(",")) {
    const match = /^\s*(\d{1,15})\s*(?:-\s*(\d{1,15})\s*)?$/.exec(part);
    if (match === null) return undefined;
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    if (to < from) return undefined;
    ranges.push([from, to]);
  }
  return ranges;
}

export function isInRanges(ranges: readonly Range[] | undefined, value: number): boolean {
  return ranges === undefined || ranges.some(([from, to]) => value >= from && value <= to);
}

/** Adds the next higher number. */
export function addToRanges(ranges: [number, number][], value: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && last[1] === value - 1) last[1] = value;
  else ranges.push([value, value]);
}

/** The blocks of some runs, in Bacula's form. */
export function printBootstrap(runs: readonly BootstrapRun[]): string {
  const lines: string[] = [];
  for (const run of runs) {
    const count = run.fileIndex.reduce((sum, [from, to]) => sum + to - from + 1, 0);
    for (const extent of run.extents) {
      lines.push(`Storage="${run.storage}"`, `Volume="${extent.volume}"`, `MediaType="${extent.mediaType}"`);
      if (extent.slot > 0) lines.push(`Slot=${extent.slot}`);
      lines.push(`VolSessionId=${run.sessionId}`, `VolSessionTime=${run.sessionTime}`, `JobId=${run.jobId}`);
      lines.push(`VolAddr=${extent.first}-${extent.end}`);
      for (const [from, to] of run.fileIndex) lines.push(`FileIndex=${from === to ? from : `${from}-${to}`}`);
      lines.push(`Count=${count}`);
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}
