/** Roots without anything in them that had something in the last backup: refused, not taken for a deletion of all. */

import { BackupError } from "../../common/errors.js";
import type { Walker } from "../walk/walker.js";
import type { Parents } from "./parents.js";

export class EmptyRoots {
  readonly #walker: Walker;
  readonly #parents: Parents;
  /** An empty root below which a list has something. */
  #lost: string | undefined;

  constructor(walker: Walker, parents: Parents) {
    this.#walker = walker;
    this.#parents = parents;
  }

  /** An empty root; the lists stand behind its key. @throws BackupError ROOT_EMPTY */
  check(key: string): void {
    if (this.#parents.holdsBelow(key, true)) this.#lost = key;
    if (this.#walker.isListed || this.#parents.overBases) return;
    if (this.#parents.holdsBelow(key, false)) this.#refuse(key);
  }

  /**
   * After the walk: every root is empty now and was not before, which is a snapshot that is not mounted, not a machine
   * without files. @throws BackupError ROOT_EMPTY
   */
  checkFound(): void {
    const { emptyRoots, rootDirectories } = this.#walker;
    if (this.#lost !== undefined && emptyRoots === rootDirectories) this.#refuse(this.#lost);
  }

  #refuse(key: string): never {
    const path = this.#walker.rootPath(key);
    const text = `${path} is empty, but was not in the last backup: is its file system or snapshot mounted?`;
    throw new BackupError("ROOT_EMPTY", text);
  }
}
