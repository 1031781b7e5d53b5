/** Findings as lines of text, for `basalt check`. */

import { displayPath } from "../../common/format/path.js";
import { withCommas } from "../../common/units.js";
import type { CheckSummary, Finding } from "./types.js";

const MAX_JOBS = 20;

/** One or two lines, with the line break. */
export function findingText(finding: Finding): string {
  const { kind, volume, offset, text, jobIds, path, repaired } = finding;
  const where = volume === "" ? "" : `Volume "${volume}"${offset > 0 ? `, byte ${offset}` : ""}: `;
  const file = path === "" ? "" : `: ${displayPath(path)}`;
  const done = repaired === "" ? "" : ` (${repaired})`;
  let out = `${kind}: ${where}${text}${file}${done}\n`;
  if (volume === "" && jobIds.length > 1) {
    const more = jobIds.length > MAX_JOBS + 1 ? ` and ${jobIds.length - MAX_JOBS - 1} more` : "";
    out += `  also in what lies over it, unless replaced there: JobId ${jobIds.slice(1, MAX_JOBS + 1).join(",")}${more}\n`;
  }
  if (volume !== "" && jobIds.length > 0) {
    const more = jobIds.length > MAX_JOBS ? ` and ${jobIds.length - MAX_JOBS} more` : "";
    out += `  needed by JobId ${jobIds.slice(0, MAX_JOBS).join(",")}${more}\n`;
  }
  return out;
}

/** The last lines. */
export function summaryText(summary: CheckSummary): string {
  const { volumes, frames, bytes, findings, repaired, jobIds } = summary;
  const read = `${volumes} Volumes, ${withCommas(frames)} frames, ${withCommas(bytes)} bytes checked`;
  if (findings === 0) return `${read}: all good\n`;
  const lost = jobIds.length === 0 ? "" : `Jobs with files that are lost: JobId ${jobIds.join(",")}\n`;
  return `${lost}${read}: ${findings} findings, ${repaired} of them dealt with\n`;
}
