/** The two shapes of Bacula's lists: `+---+` tables and `Key: value` blocks. */

/** What a cell may hold; null prints as nothing. Numbers come without separators, as with Bacula's SQLite. */
export type Cell = string | number | boolean | null | undefined;

export const NO_RESULTS = "No results to list.\n";

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

/** The widths of a table, which are known when every row was seen; then its lines. */
export class TableShape {
  readonly #columns: readonly string[];
  readonly #widths: number[];

  constructor(columns: readonly string[]) {
    this.#columns = columns;
    this.#widths = columns.map(widthOf);
  }

  /** Takes notice of a row that will be printed. */
  fit(cells: readonly string[]): void {
    for (const [index, cell] of cells.entries())
      if (cell.length > this.#widths[index]!)
        this.#widths[index] = Math.max(this.#widths[index]!, widthOf(cell));
  }

  get border(): string {
    return `+${this.#widths.map((width) => "-".repeat(width + 2)).join("+")}+\n`;
  }

  /** The lines above the first row. */
  get head(): string {
    return `${this.border}${this.line(this.#columns)}${this.border}`;
  }

  line(cells: readonly string[]): string {
    return `|${cells.map((cell, index) => ` ${pad(cell, this.#widths[index]!)} `).join("|")}|\n`;
  }
}

/** A table with borders and a line end; `No results to list.` without rows. */
export function formatTable(columns: readonly string[], rows: readonly Row[]): string {
  if (rows.length === 0) return NO_RESULTS;
  const cells = rows.map((row) => columns.map((column) => cellText(row[column])));
  const shape = new TableShape(columns);
  for (const line of cells) shape.fit(line);
  return `${shape.head}${cells.map((line) => shape.line(line)).join("")}${shape.border}`;
}

/** A record as `  Key: value` lines, keys right-aligned, and an empty line. */
export function formatBlock(columns: readonly string[], cells: readonly string[]): string {
  const width = columns.reduce((most, column) => Math.max(most, widthOf(column)), 0);
  return `${columns.map((column, index) => ` ${column.padStart(width)}: ${cells[index]}\n`).join("")}\n`;
}

/** `  Key: value` blocks, keys right-aligned, an empty line after each record. */
export function formatBlocks(columns: readonly string[], rows: readonly Row[]): string {
  if (rows.length === 0) return NO_RESULTS;
  return rows
    .map((row) =>
      formatBlock(
        columns,
        columns.map((column) => cellText(row[column])),
      ),
    )
    .join("");
}
