/** What can be told of a statement before SQLite sees it. */

const TOKEN =
  /'(?:[^']|'')*'?|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"(?:[^"]|"")*"?|`[^`]*`?|\[[^\]]*\]?|[\p{L}_][\p{L}\p{N}_$]*|\*|./gsu;
const READING = new Set(["select", "with", "values", "explain"]);

/** Where `*` stands for columns, and not for a product or in count(*). */
const BEFORE_ALL = new Set(["select", "distinct", "all", ",", "."]);

/** Names (lower case), and `*` for all columns, in a statement; what stands in strings and comments does not count. */
export function namesIn(sql: string): Set<string> {
  const names = new Set<string>();
  let before = "";
  for (const [token] of sql.matchAll(TOKEN)) {
    const all = token === "*" && BEFORE_ALL.has(before);
    if (/^(\s|--|\/\*)/.test(token)) continue;
    before = token.toLowerCase();
    if (all || /^[\p{L}_]/u.test(token)) names.add(before);
    else if (/^["`[]/.test(token)) names.add(token.replace(/^["`[]|["`\]]$/g, "").toLowerCase());
  }
  return names;
}

/** The statement without the semicolons at its end. */
export function trimmed(sql: string): string {
  return sql.replace(/[;\s]+$/, "").trim();
}

/** True when the first word is one of a statement that only reads. SQLite is asked as well. */
export function startsReading(sql: string): boolean {
  for (const [token] of sql.matchAll(TOKEN)) {
    if (/^(--|\/\*|\s|\()/.test(token)) continue;
    return READING.has(token.toLowerCase());
  }
  return false;
}

/**
 * Where SQLite takes a quoted word for a name that is not there, the same with a string: scripts for Bacula write
 * strings in either quotes. Undefined when `message` says something else.
 */
export function withString(sql: string, message: string): string | undefined {
  const missing = /^no such column: (".*") - should this be a string literal/.exec(message)?.[1];
  if (missing === undefined) return undefined;
  let found = false;
  const text = sql.replace(TOKEN, (token) => {
    if (token !== missing) return token;
    found = true;
    return `'${token.slice(1, -1).replaceAll('""', '"').replaceAll("'", "''")}'`;
  });
  return found ? text : undefined;
}
