/** Reads the report that ends every job, in the form that Bacula's console gives it. */

/** A job's report as a console printed it. */
export interface JobReport {
  jobId: number;
  /** Everything the console printed. */
  report: string;
  /** Value of the last line, such as `Backup OK`. */
  termination: string;
  /** All lines by their key, in order. */
  lines: ReadonlyMap<string, string>;
}

/** The report of one job in a console's output; undefined when it is not there. */
export function findReport(output: string, jobId: number): JobReport | undefined {
  let lines: Map<string, string> | undefined;
  for (const line of output.split("\n")) {
    const match = /^ {2}(\S[^:]*):(?: +(.*))?$/.exec(line);
    if (!match) {
      lines = undefined;
      continue;
    }
    lines ??= new Map();
    lines.set(match[1] ?? "", (match[2] ?? "").trim());
    if (match[1] !== "Termination" || lines.get("JobId") !== String(jobId)) continue;
    return { jobId, report: output, termination: (match[2] ?? "").trim(), lines };
  }
  return undefined;
}

/** A number in a report: `1,234,567 (1.2 MB)` is 1234567. Throws when the line is missing. */
export function reportNumber(report: JobReport, key: string): number {
  const text = report.lines.get(key);
  const match = text === undefined ? null : /^[\d,]+/.exec(text);
  if (!match)
    throw new Error(`no number in line "${key}" of the report: ${text ?? "missing"}\n${report.report}`);
  return Number(match[0].replaceAll(",", ""));
}

const UNIT_SECONDS: Record<string, number> = { sec: 1, min: 60, hour: 3600, day: 86400 };

/** `1 min 5 secs`, `2.5 secs` as seconds. */
export function reportSeconds(report: JobReport, key = "Elapsed time"): number {
  let total = 0;
  for (const [, amount, unit] of (report.lines.get(key) ?? "").matchAll(/([\d.]+) *(sec|min|hour|day)/g))
    total += Number(amount) * (UNIT_SECONDS[unit ?? ""] ?? 0);
  return total;
}
