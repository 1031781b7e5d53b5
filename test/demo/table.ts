/** The table of the demonstration. */

export interface TableRow {
  job: string;
  jobId: number;
  files: number;
  /** Bytes read from disk, sent to the storage daemon, written to volumes. */
  read: number;
  sent: number;
  stored: number;
  /** Bytes of files that needed nothing because a Base has them; undefined where no Base plays a part. */
  saved: number | undefined;
  seconds: number;
}

function megabytes(bytes: number | undefined): string {
  return bytes === undefined ? "" : (bytes / 1e6).toFixed(1);
}

/** Prints to standard output; sizes in MB (10^6 bytes). */
export function printTable(rows: readonly TableRow[]): void {
  const head = ["job", "JobId", "files", "read MB", "sent MB", "stored MB", "saved by Base MB", "seconds"];
  const lines = rows.map((row) => [
    row.job,
    String(row.jobId),
    String(row.files),
    megabytes(row.read),
    megabytes(row.sent),
    megabytes(row.stored),
    megabytes(row.saved),
    String(row.seconds),
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i]!.length)));
  for (const line of [head, ...lines]) {
    console.log(
      line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "),
    );
  }
}
