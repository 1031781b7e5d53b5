/** What a file system says of its own free space, once it has been found consistent. */
import type { ByteRange } from "./ranges.js";

export interface FreeMap {
  /** `ext4`, `xfs` ... for the report. */
  readonly filesystem: string;
  /** Bytes of the file system; what its partition has behind them is not free. */
  readonly size: number;
  /** Bytes in all ranges together. */
  readonly freeBytes: number;
  /**
   * The free ranges, ascending, disjoint, in bytes of the source. Reads them anew each time, in memory that does not
   * depend on the size of the file system; should what is read no longer be what was checked, it ends early.
   */
  ranges(): Iterable<ByteRange>;
}
