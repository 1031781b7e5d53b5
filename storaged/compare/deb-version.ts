/** The order of Debian's version numbers (Debian policy 5.6.12, deb-version(7)). */

/** Below 0 when `a` is the older one. Takes time in proportion to the texts. */
export function compareDebVersions(a: string, b: string): number {
  const [x, y] = [partsOf(a), partsOf(b)];
  return (
    compareNumbers(x.epoch, y.epoch) ||
    compareParts(x.upstream, y.upstream) ||
    compareParts(x.revision, y.revision)
  );
}

function partsOf(version: string): { epoch: string; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const hyphen = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? "0" : version.slice(0, colon),
    upstream: hyphen < 0 ? rest : rest.slice(0, hyphen),
    // None is the same as 0.
    revision: hyphen < 0 ? "0" : rest.slice(hyphen + 1),
  };
}

/** Stretches without digits and numbers, in turn. */
function compareParts(a: string, b: string): number {
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [textA, textB] = [stretch(a, i, false), stretch(b, j, false)];
    const text = compareText(textA, textB);
    if (text !== 0) return text;
    i += textA.length;
    j += textB.length;
    const [numberA, numberB] = [stretch(a, i, true), stretch(b, j, true)];
    const number = compareNumbers(numberA, numberB);
    if (number !== 0) return number;
    i += numberA.length;
    j += numberB.length;
  }
  return 0;
}

const isDigit = (char: string | undefined): boolean => char !== undefined && char >= "0" && char <= "9";

function stretch(text: string, from: number, digits: boolean): string {
  let end = from;
  while (end < text.length && isDigit(text[end]) === digits) end++;
  return text.slice(from, end);
}

/** Letters before everything else, `~` before even the end. */
function rank(char: string | undefined): number {
  if (char === "~") return -1;
  if (char === undefined) return 0;
  const code = char.charCodeAt(0);
  return /[A-Za-z]/.test(char) ? code : code + 256;
}

function compareText(a: string, b: string): number {
  for (let i = 0; i < a.length || i < b.length; i++) {
    const order = rank(a[i]) - rank(b[i]);
    if (order !== 0) return order;
  }
  return 0;
}

/** Of any length. */
function compareNumbers(a: string, b: string): number {
  const [x, y] = [a.replace(/^0+/, ""), b.replace(/^0+/, "")];
  return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
}
