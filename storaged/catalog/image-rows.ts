/** Which rows of a list are disk images. */
import { isBelow, parentKey } from "../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";

/**
 * An image comes back with its zeros as holes, and a job that reads images does not read the directories that they lie in. A file
 * with holes that a walk has met has its directory in the list.
 */
export class ImageRows {
  readonly #directories: string[] = [];

  /** Rows must be shown in path order, each once. */
  isImage({ key, type, flags, size }: Pick<Row, "key" | "type" | "flags" | "size">): boolean {
    while (this.#directories.length > 0 && !isBelow(this.#directories.at(-1)!, key)) this.#directories.pop();
    if (type === EntryType.directory) this.#directories.push(key);
    if (type !== EntryType.file || size === 0 || (flags & RowFlag.sparse) === 0) return false;
    return this.#directories.at(-1) !== parentKey(key);
  }
}
