/**
 * The roots of a walk that it has not reached yet, smallest key first. A walk meets keys in the same order, so that the
 * first root left is all it ever has to know: roots may come from a list of any length.
 */
import { isBelow } from "../../common/format/path.js";
import type { WalkRoot } from "./file-set.js";

export class RootCursor {
  readonly #named: readonly WalkRoot[];
  readonly #listed: Iterator<WalkRoot> | undefined;
  #next = 0;
  #ahead: WalkRoot | undefined;
  #head: WalkRoot | undefined;

  /** Both in ascending order without repetition. Of a root in both, the one of `named` counts. */
  constructor(named: readonly WalkRoot[], listed?: Iterator<WalkRoot>) {
    this.#named = named;
    this.#listed = listed;
    this.#ahead = this.#take();
    this.advance();
  }

  /** The first root that was not passed yet. */
  get head(): WalkRoot | undefined {
    return this.#head;
  }

  /** Passes the first root. */
  advance(): void {
    const named = this.#named[this.#next];
    while (named !== undefined && this.#ahead?.key === named.key) this.#ahead = this.#take();
    if (named !== undefined && (this.#ahead === undefined || named.key < this.#ahead.key)) {
      this.#head = named;
      this.#next++;
    } else {
      this.#head = this.#ahead;
      this.#ahead = this.#take();
    }
  }

  /** True when the first root left lies strictly below `key`. */
  isBelow(key: string): boolean {
    return this.#head !== undefined && isBelow(key, this.#head.key);
  }

  /** The component that leads from `prefix` (empty, or ending in NUL) to the first root left; undefined for none. */
  component(prefix: string): string | undefined {
    const key = this.#head?.key;
    if (key === undefined || key.length <= prefix.length || !key.startsWith(prefix)) return undefined;
    const end = key.indexOf("\0", prefix.length);
    return key.slice(prefix.length, end < 0 ? undefined : end);
  }

  #take(): WalkRoot | undefined {
    const taken = this.#listed?.next();
    return taken === undefined || taken.done === true ? undefined : taken.value;
  }
}
