/**
 * The text that LVM keeps its metadata in: `name = value`, `name { … }`, comments. Source: lvm2, the manual page
 * lvm.conf(5) ("SYNTAX"), whose form it shares. A guest may have written it: everything has limits.
 */

export type LvmValue = number | string | readonly LvmValue[];

/** `name { … }` */
export interface LvmSection {
  readonly values: ReadonlyMap<string, LvmValue>;
  readonly sections: ReadonlyMap<string, LvmSection>;
}

const MAX_DEPTH = 8;
const TOKEN = /[ \t\r\n\0]+|#[^\n]*|"(?:[^"\\]|\\.)*"|-?\d+(?![\w.+-])|[\w.+-]+|[={}[\],]/gy;

/** Undefined when it is no such text. */
export function parseLvmText(text: string): LvmSection | undefined {
  const tokens = tokensOf(text);
  if (tokens === undefined) return undefined;
  const reader = new Reader(tokens);
  const found = reader.section(0);
  return found !== undefined && reader.isAtEnd ? found : undefined;
}

function tokensOf(text: string): string[] | undefined {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const found = TOKEN.exec(text);
    if (found === null) return undefined;
    if (!/^[\s\0#]/.test(found[0])) tokens.push(found[0]);
  }
  return tokens;
}

class Reader {
  #at = 0;

  constructor(private readonly tokens: readonly string[]) {}

  get isAtEnd(): boolean {
    return this.#at === this.tokens.length;
  }

  /** Up to a closing brace or the end. */
  section(depth: number): LvmSection | undefined {
    const values = new Map<string, LvmValue>();
    const sections = new Map<string, LvmSection>();
    while (!this.isAtEnd && this.tokens[this.#at] !== "}") {
      const name = this.tokens[this.#at++]!;
      const sign = this.tokens[this.#at++];
      if (!/^[\w.+-]+$/.test(name)) return undefined;
      if (sign === "=") {
        const value = this.#value(depth);
        if (value === undefined) return undefined;
        values.set(name, value);
      } else if (sign === "{" && depth < MAX_DEPTH) {
        const inner = this.section(depth + 1);
        if (inner === undefined || this.tokens[this.#at++] !== "}") return undefined;
        sections.set(name, inner);
      } else return undefined;
    }
    return { values, sections };
  }

  #value(depth: number): LvmValue | undefined {
    const token = this.tokens[this.#at++];
    if (token === undefined) return undefined;
    if (token === "[") return depth < MAX_DEPTH ? this.#list(depth + 1) : undefined;
    if (token.startsWith('"')) return token.slice(1, -1).replace(/\\(.)/gs, "$1");
    const number = Number(token);
    return /^-?\d+$/.test(token) && Number.isSafeInteger(number) ? number : undefined;
  }

  #list(depth: number): LvmValue[] | undefined {
    const items: LvmValue[] = [];
    for (;;) {
      if (this.tokens[this.#at] === "]") {
        this.#at++;
        return items;
      }
      const item = this.#value(depth);
      if (item === undefined) return undefined;
      items.push(item);
      if (this.tokens[this.#at] === ",") this.#at++;
      else if (this.tokens[this.#at] !== "]") return undefined;
    }
  }
}
