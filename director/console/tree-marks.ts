/**
 * What is marked in a restore tree: selection rules, never the tree. The last rule that covers a path decides;
 * a path that none covers is left out. The list stays as short as the user's decisions: a rule for a directory
 * makes earlier rules below it void.
 */
import { isWithin, parentKey, pathToKey } from "../../common/format/path.js";
import type { SelectionRule } from "../../proto/generated/basalt/v1/SelectionRule.js";
import { splitPath, toWire } from "./names.js";

/** A rule with its path as a latin1 carrier. */
export interface MarkRule {
  path: string;
  include: boolean;
  recursive: boolean;
}

/** Rules are sent with every question to the storage daemon, so their number is bounded. */
export const MAX_RULES = 100_000;

function covers(rule: MarkRule, path: string): boolean {
  return rule.path === path || (rule.recursive && isWithin(pathToKey(rule.path), pathToKey(path)));
}

export class TreeMarks {
  #rules: MarkRule[];

  /** `all`: everything is marked at first. */
  constructor(all: boolean) {
    this.#rules = all ? [{ path: "/", include: true, recursive: true }] : [];
  }

  /** Exactly these entries, without the directories above them. */
  static of(rules: readonly MarkRule[]): TreeMarks {
    const marks = new TreeMarks(false);
    marks.#rules = [...rules];
    return marks;
  }

  get rules(): readonly MarkRule[] {
    return this.#rules;
  }

  /** Rules as they are sent. */
  toWire(): SelectionRule[] {
    return rulesToWire(this.#rules);
  }

  /** Whether this very path is marked; `parent` when only as a directory on the way to something marked. */
  stateOf(path: string): "marked" | "parent" | "no" {
    const rule = this.#rules.findLast((each) => covers(each, path));
    if (rule === undefined || !rule.include) return "no";
    return rule.recursive ? "marked" : "parent";
  }

  /** Marks or unmarks entries; marking takes the directories above along, so that they come back as they were. */
  apply(rules: readonly MarkRule[]): void {
    const parents = new Set<string>();
    for (const rule of rules) if (rule.include) addParents(parents, rule.path);
    const ways = [...parents].sort().filter((path) => this.stateOf(path) === "no");
    this.#forget(rules);
    for (const path of ways) this.#rules.push({ path, include: true, recursive: false });
    this.#rules.push(...rules);
  }

  /** Drops rules that the new ones make void. One pass, however many there are. */
  #forget(rules: readonly MarkRule[]): void {
    const same = new Set(rules.map((rule) => pathToKey(rule.path)));
    const below = new Set(rules.filter((rule) => rule.recursive).map((rule) => pathToKey(rule.path)));
    this.#rules = this.#rules.filter((each) => {
      const key = pathToKey(each.path);
      if (same.has(key) && (!each.recursive || below.has(key))) return false;
      for (let at: string | undefined = key; at !== undefined; at = parentKey(at))
        if (below.has(at)) return false;
      return true;
    });
  }
}

/** Adds the directories above `path`; stops where they are known already. */
function addParents(parents: Set<string>, path: string): void {
  for (let at = path; at !== "/"; ) {
    at = splitPath(at).directory;
    if (parents.has(at)) return;
    parents.add(at);
  }
}

export function rulesToWire(rules: readonly MarkRule[]): SelectionRule[] {
  return rules.map(({ path, include, recursive }) => ({ path: toWire(path), include, recursive }));
}
