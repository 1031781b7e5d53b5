/**
 * Bacula's query file (console manual, "query"): `#` comments; `:` begins a question with its title; `*` lines ask for
 * the values of %1 to %9; SQL up to a semicolon, several statements to a question if need be. A statement that begins with
 * `!` is printed as blocks instead of a table.
 */
import { readFileSync } from "node:fs";
import { BackupError, describeError } from "../../../common/errors.js";

export interface StoredQuery {
  title: string;
  prompts: string[];
  statements: { sql: string; blocks: boolean }[];
}

const MAX_BYTES = 4_000_000;
const MAX_PROMPTS = 9;

/** @throws BackupError CONFIG_INVALID when it cannot be read or is none */
export function readQueryFile(file: string): StoredQuery[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    const text = `Could not open the QueryFile ${file}: ERR=${describeError(cause)}`;
    throw new BackupError("CONFIG_INVALID", text, { cause });
  }
  if (bytes.length > MAX_BYTES) throw new BackupError("CONFIG_INVALID", `the QueryFile ${file} is too large`);
  return parseQueries(bytes.toString("utf8"), file);
}

/** @throws BackupError CONFIG_INVALID */
export function parseQueries(text: string, file: string): StoredQuery[] {
  const queries: StoredQuery[] = [];
  let sql = "";
  const wrong = (line: number, what: string) => new BackupError("CONFIG_INVALID", `${file}:${line}: ${what}`);
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const query = queries.at(-1);
    if (line.startsWith(":")) {
      if (sql !== "") throw wrong(index + 1, "the statement before this question has no semicolon");
      queries.push({ title: line.slice(1).trim(), prompts: [], statements: [] });
    } else if (query === undefined) {
      throw wrong(index + 1, "the first line of a question must begin with a colon and its title");
    } else if (line.startsWith("*") && sql === "") {
      if (query.prompts.length >= MAX_PROMPTS) throw wrong(index + 1, `more than ${MAX_PROMPTS} prompts`);
      query.prompts.push(line.slice(1));
    } else {
      sql = sql === "" ? line : `${sql}\n${line}`;
      if (!line.endsWith(";")) continue;
      const blocks = sql.startsWith("!");
      query.statements.push({ sql: blocks ? sql.slice(1).trim() : sql, blocks });
      sql = "";
    }
  }
  if (sql !== "") throw wrong(text.split("\n").length, "the last statement has no semicolon");
  return queries;
}

/** A statement with its answers: %1 to %9, made harmless inside of quotes; `%%` is a percent sign. */
export function withAnswers(sql: string, answers: readonly string[]): string {
  return sql.replace(/%(%|[1-9])/g, (whole, digit: string) => {
    if (digit === "%") return "%";
    return answers[Number(digit) - 1]?.replaceAll("'", "''") ?? whole;
  });
}
