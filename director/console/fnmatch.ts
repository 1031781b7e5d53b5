/** Shell wildcards over latin1-carried names, byte by byte: `*`, `?`, `[a-z]`, `[!a]`, `\x`. `/` is ordinary. */

/** True when `text` holds a wildcard. */
export function hasWildcard(text: string): boolean {
  return /[*?[]/.test(text);
}

/** What is longer was not written to match a name, and would take long to be compared with many. */
const MAX_PATTERN = 8192;

/** True when the whole of `name` matches. Time is bounded by the product of both lengths. */
export function fnmatch(pattern: string, name: string): boolean {
  if (pattern.length > MAX_PATTERN) return false;
  let p = 0;
  let n = 0;
  let starP = -1;
  let starN = 0;
  while (n < name.length) {
    const step = p < pattern.length ? matchOne(pattern, p, name.charCodeAt(n)) : 0;
    if (pattern[p] === "*") {
      starP = p++;
      starN = n;
    } else if (step > 0) {
      p += step;
      n += 1;
    } else if (starP >= 0) {
      p = starP + 1;
      n = ++starN;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p += 1;
  return p === pattern.length;
}

/** Length of the pattern element at `p` when it matches the byte, else 0. */
function matchOne(pattern: string, p: number, byte: number): number {
  const char = pattern[p];
  if (char === "*") return 0;
  if (char === "?") return 1;
  if (char === "[") {
    const set = matchSet(pattern, p, byte);
    if (set !== undefined) return set;
  }
  return pattern.charCodeAt(p) === byte ? 1 : 0;
}

/** As matchOne for a bracket expression; undefined when the bracket is never closed and so ordinary. */
function matchSet(pattern: string, start: number, byte: number): number | undefined {
  let p = start + 1;
  const negated = pattern[p] === "!" || pattern[p] === "^";
  if (negated) p += 1;
  let found = false;
  for (let first = true; p < pattern.length; first = false) {
    if (pattern[p] === "]" && !first) return found !== negated ? p + 1 - start : 0;
    const low = pattern.charCodeAt(p);
    let high = low;
    if (pattern[p + 1] === "-" && p + 2 < pattern.length && pattern[p + 2] !== "]") {
      high = pattern.charCodeAt(p + 2);
      p += 2;
    }
    if (byte >= low && byte <= high) found = true;
    p += 1;
  }
  return undefined;
}
