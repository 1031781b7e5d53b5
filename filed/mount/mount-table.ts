/** What is mounted, as proc(5) describes /proc/self/mountinfo. Paths are latin1 carriers. */
import { readFileSync } from "node:fs";

export interface MountRow {
  /** `MAJOR:MINOR` of what is mounted. */
  readonly numbers: string;
  readonly point: string;
  /** `/dev/loop7` */
  readonly source: string;
  readonly type: string;
  /** Options of this mount, not of its file system. */
  readonly options: readonly string[];
}

/** In the order of the table: whatever is mounted on or below something comes after it. */
export function mountTable(text = readFileSync("/proc/self/mountinfo", "latin1")): MountRow[] {
  const rows: MountRow[] = [];
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    const separator = fields.indexOf("-", 6);
    if (separator < 0) continue;
    rows.push({
      numbers: fields[2]!,
      point: unescaped(fields[4]!),
      source: unescaped(fields[separator + 2] ?? ""),
      type: fields[separator + 1] ?? "",
      options: fields[5]!.split(","),
    });
  }
  return rows;
}

function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/** What is mounted at a directory and below it. */
export function mountsWithin(directory: string, table: readonly MountRow[] = mountTable()): MountRow[] {
  return table.filter(({ point }) => point === directory || point.startsWith(`${directory}/`));
}
