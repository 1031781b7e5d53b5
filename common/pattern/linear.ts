/**
 * Patterns whose matching takes time in proportion to the length of the pattern times that of the text, whatever both are:
 * every pair of a step and a place is tried once. For expressions and texts that somebody else wrote, which could make
 * JavaScript's own engine try for hours. Of several matches the leftmost counts, and of those the one that
 * earlier alternatives and longer repetitions give, as in Perl; POSIX would take the longest.
 */
import { isWordCode, PatternError, type PatternNode, parsePattern, type Takes } from "./nodes.js";

export { PatternError } from "./nodes.js";

type Step =
  | { op: "one"; takes: Takes; to: number }
  | { op: "split"; to: number; or: number }
  | { op: "save"; slot: number; to: number }
  | { op: "assert"; what: string; to: number }
  | { op: "match" };

/** Steps of one pattern; repetitions with numbers are written out. */
const MAX_STEPS = 2000;
/** Nodes visited while a pattern is made into steps: one that adds none, such as `a{0}`, may be repeated too. */
const MAX_VISITS = 20_000;
/** Code points of one text. A path may have 65,535. */
const MAX_TEXT = 70_000;

/** Start and end of each group in code points, undefined where it took no part. Group 0 is the whole. */
export type Groups = (readonly [number, number] | undefined)[];

export class LinearPattern {
  readonly #steps: Step[] = [];
  readonly #start: number;
  readonly groups: number;
  #visits = 0;
  /** One bit for each step and place. */
  #tried = new Uint32Array(64);

  constructor(node: PatternNode, groups: number) {
    this.groups = groups;
    const match = this.#add({ op: "match" });
    this.#start = this.#compile(node, match);
  }

  /** @throws PatternError */
  static parse(pattern: string, ignoreCase: boolean): LinearPattern {
    const { node, groups } = parsePattern(pattern, ignoreCase);
    return new LinearPattern(node, groups);
  }

  /** True when the pattern is found anywhere. @throws PatternError for a text that is too long */
  test(text: string): boolean {
    return this.find(codesOf(text), 0) !== undefined;
  }

  /** The first match at or behind `from`. @throws PatternError for a text that is too long */
  find(codes: readonly number[], from: number): Groups | undefined {
    if (codes.length > MAX_TEXT) throw new PatternError("the text is too long");
    const words = Math.ceil((this.#steps.length * (codes.length + 1)) / 32);
    if (this.#tried.length < words) this.#tried = new Uint32Array(words);
    else this.#tried.fill(0, 0, words);
    // What was tried from an earlier start in vain need not be tried again from a later one.
    for (let start = from; start <= codes.length; start++) {
      const slots = this.#run(codes, start);
      if (slots === undefined) continue;
      const groups: Groups = [[start, slots.at(-1)!]];
      for (let index = 1; index <= this.groups; index++) {
        const [begin, end] = [slots[index * 2]!, slots[index * 2 + 1]!];
        groups.push(begin < 0 || end < 0 ? undefined : [begin, end]);
      }
      return groups;
    }
    return undefined;
  }

  /** The slots of a match that starts here, with its end behind them. */
  #run(codes: readonly number[], start: number): number[] | undefined {
    const width = codes.length + 1;
    const slots: number[] = new Array(this.groups * 2 + 2).fill(-1);
    // A negative step restores the slot ~step to the place.
    const stack: number[] = [this.#start, start];
    while (stack.length > 0) {
      let at = stack.pop()!;
      let step = stack.pop()!;
      if (step < 0) {
        slots[~step] = at;
        continue;
      }
      for (;;) {
        const bit = step * width + at;
        const mask = 1 << (bit & 31);
        if ((this.#tried[bit >>> 5]! & mask) !== 0) break;
        this.#tried[bit >>> 5]! |= mask;
        const each = this.#steps[step]!;
        if (each.op === "match") return [...slots, at];
        if (each.op === "one") {
          if (at === codes.length || !each.takes(codes[at]!)) break;
          at++;
        } else if (each.op === "split") {
          stack.push(each.or, at);
        } else if (each.op === "save") {
          stack.push(~each.slot, slots[each.slot]!);
          slots[each.slot] = at;
        } else if (!holds(each.what, codes, at)) break;
        step = each.to;
      }
    }
    return undefined;
  }

  #add(step: Step): number {
    if (this.#steps.length >= MAX_STEPS) throw new PatternError("it is too large");
    return this.#steps.push(step) - 1;
  }

  /** Adds the steps of a node that go on at `to`; the first one's place. */
  #compile(node: PatternNode, to: number): number {
    if (++this.#visits > MAX_VISITS) throw new PatternError("it is too large");
    switch (node.kind) {
      case "one":
        return this.#add({ op: "one", takes: node.takes, to });
      case "assert":
        return this.#add({ op: "assert", what: node.what, to });
      case "sequence":
        return node.nodes.reduceRight((next, each) => this.#compile(each, next), to);
      case "either":
        return node.nodes
          .map((each) => this.#compile(each, to))
          .reduceRight((or, first) => this.#add({ op: "split", to: first, or }));
      case "group": {
        const end = this.#add({ op: "save", slot: node.index * 2 + 1, to });
        return this.#add({ op: "save", slot: node.index * 2, to: this.#compile(node.node, end) });
      }
      case "repeat":
        return this.#repeat(node, to);
    }
  }

  #repeat({ node, least, most }: PatternNode & { kind: "repeat" }, to: number): number {
    let next = to;
    if (most === undefined) {
      const loop = { op: "split" as const, to: -1, or: to };
      next = this.#add(loop);
      loop.to = this.#compile(node, next);
    } else {
      for (let extra = most - least; extra > 0; extra--)
        next = this.#add({ op: "split", to: this.#compile(node, next), or: to });
    }
    for (let each = 0; each < least; each++) next = this.#compile(node, next);
    return next;
  }
}

function holds(what: string, codes: readonly number[], at: number): boolean {
  if (what === "start") return at === 0;
  if (what === "end") return at === codes.length;
  const [before, behind] = [isWordCode(codes[at - 1]), isWordCode(codes[at])];
  if (what === "wordStart") return !before && behind;
  if (what === "wordEnd") return before && !behind;
  return (before !== behind) === (what === "boundary");
}

/** Code points of a text; a surrogate that stands alone is one. */
export function codesOf(text: string): number[] {
  return Array.from(text, (char) => char.codePointAt(0)!);
}

/** The text of code points. */
export function textOf(codes: readonly number[], start = 0, end = codes.length): string {
  let text = "";
  for (let at = start; at < end; at++) text += String.fromCodePoint(codes[at]!);
  return text;
}
