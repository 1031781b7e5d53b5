/** Which entries a selection takes: rules in order, the last one that covers a path decides. */

import { isWithin } from "../../common/format/path.js";
import type { SelectionRule } from "./listing-types.js";

interface RuleAt {
  key: string;
  /** Index of the last rule for this very path, -1 for none. */
  exact: number;
  /** Index of the last recursive rule for this very path, -1 for none. */
  recursive: number;
  /** Index of the deciding recursive rule among this path's and its ancestors'. Set when entered. */
  effective: number;
}

/**
 * Decides path by path. Paths must be asked in ascending order; jumps forward are fine. Cost does not depend on the
 * number of rules.
 */
export class RuleMatcher {
  readonly #rules: readonly SelectionRule[];
  readonly #sorted: RuleAt[];
  readonly #stack: RuleAt[] = [];
  #next = 0;

  constructor(rules: readonly SelectionRule[]) {
    this.#rules = rules;
    const byKey = new Map<string, RuleAt>();
    rules.forEach(({ key, recursive }, index) => {
      const at = byKey.get(key) ?? { key, exact: -1, recursive: -1, effective: -1 };
      at.exact = index;
      if (recursive) at.recursive = index;
      byKey.set(key, at);
    });
    this.#sorted = [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  selects(key: string): boolean {
    const stack = this.#stack;
    for (let rule = this.#sorted[this.#next]; rule !== undefined && rule.key <= key; ) {
      this.#leave(rule.key);
      rule.effective = Math.max(rule.recursive, stack.at(-1)?.effective ?? -1);
      stack.push(rule);
      rule = this.#sorted[++this.#next];
    }
    this.#leave(key);
    const top = stack.at(-1);
    if (top === undefined) return false;
    const index = top.key === key ? Math.max(top.exact, top.effective) : top.effective;
    return index >= 0 && this.#rules[index]!.include;
  }

  #leave(key: string): void {
    const stack = this.#stack;
    while (stack.length > 0 && !isWithin(stack.at(-1)!.key, key)) stack.pop();
  }
}
