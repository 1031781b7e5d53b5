/** Values of a result as they are printed. What one statement makes may not fill the memory of who passes it on. */
import { BackupError } from "../../../common/errors.js";
import { withCommas } from "../../../common/units.js";
import { cellText } from "../table.js";
import type { ResultForm, SqlValue } from "./protocol.js";

/** A value as SQLite gives it. */
export type RawValue = SqlValue | Uint8Array;

/** Characters, or bytes, of the values of one row. */
const MAX_ROW = 1_048_576;

/** @throws BackupError SQL_REFUSED for a row that is too long to be passed on; its length otherwise */
export function lengthOf(line: readonly RawValue[]): number {
  let length = 0;
  for (const value of line)
    length += typeof value === "string" || value instanceof Uint8Array ? value.length : 20;
  if (length <= MAX_ROW) return length;
  const text = `a row of the result has ${withCommas(length)} characters, more than ${withCommas(MAX_ROW)}: ask for a part with substr()`;
  throw new BackupError("SQL_REFUSED", text);
}

/** As SQLite would print it: whole numbers as such, others with a point. */
export function printed(value: RawValue, form: ResultForm): string {
  if (value === null) return form === "tabs" ? "" : "NULL";
  if (value instanceof Uint8Array) return `x'${Buffer.from(value).toString("hex")}'`;
  if (typeof value === "number" && Number.isInteger(value)) return `${value}.0`;
  return cellText(typeof value === "bigint" ? String(value) : value);
}

/** As JSON has it: integers that a double cannot hold come as text. */
export function plain(value: RawValue): SqlValue {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}
