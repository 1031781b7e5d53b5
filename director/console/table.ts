/** The two shapes of Bacula's lists: `+---+` tables and `Key: value` blocks. */

/** What a cell may hold; null prints as nothing. Numbers come without separators, as with Bacula's SQLite. */
export type Cell = string | number | boolean | null | undefined;

/** One record: column names in print order with their values. */
export type Row = Readonly<Record<string, Cell>>;

/** A cell as text: one line, booleans as 1 and 0. */
export function cellText(cell: Cell): string {
  if (cell === null || cell === undefined) return "";
  if (typeof cell === "boolean") return cell ? "1" : "0";
  return String(cell).replace(/[\r\n\t]+/g, " ");
}

/** Columns an East Asian or combining character takes are not counted: names are padded by characters. */
function widthOf(text: string): number {
  return [...text].length;
}

function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

/** A table with borders and a line end; `No results to list.` without rows. */
export function formatTable(columns: readonly string[], rows: readonly Row[]): string {
  if (rows.length === 0) return "No results to list.\n";
  const cells = rows.map((row) => columns.map((column) => cellText(row[column])));
  const widths = columns.map((column, index) =>
    cells.reduce((most, line) => Math.max(most, widthOf(line[index]!)), widthOf(column)),
  );
  const border = `+${widths.map((width) => "-".repeat(width + 2)).join("+")}+\n`;
  const line = (values: readonly string[]) =>
    `|${values.map((value, index) => ` ${pad(value, widths[index]!)} `).join("|")}|\n`;
  return `${border}${line(columns)}${border}${cells.map(line).join("")}${border}`;
}

/** `  Key: value` blocks, keys right-aligned, an empty line after each record. */
export function formatBlocks(columns: readonly string[], rows: readonly Row[]): string {
  if (rows.length === 0) return "No results to list.\n";
  const width = columns.reduce((most, column) => Math.max(most, widthOf(column)), 0);
  const block = (row: Row) =>
    columns.map((column) => ` ${column.padStart(width)}: ${cellText(row[column])}\n`).join("");
  return rows.map((row) => `${block(row)}\n`).join("");
}
