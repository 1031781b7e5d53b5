/**
 * How much of a Base is the same as in the one before: entries other than directories, and the bytes of files. Times
 * are not looked at: what an installation makes itself has new ones each time.
 */
import { EntryType, type Row, sameContent } from "../../common/format/row.js";

interface Count {
  entries: number;
  bytes: number;
}

export class Likeness {
  readonly before: Count = { entries: 0, bytes: 0 };
  readonly now: Count = { entries: 0, bytes: 0 };
  readonly same: Count = { entries: 0, bytes: 0 };

  /** A row of the list from before; each once. */
  old(row: Row): void {
    add(this.before, row);
  }

  /** An entry whose row is complete, and what was at its path before. */
  met(row: Row, before: Row | undefined): void {
    add(this.now, row);
    if (before !== undefined && isSame(before, row)) add(this.same, row);
  }

  /** Percent, of entries or bytes, whichever is less; 100 where there was nothing before and is nothing now. */
  get percent(): number {
    return Math.min(this.share("entries"), this.share("bytes"));
  }

  /** Percent of whichever of both lists has more of them. */
  share(of: keyof Count): number {
    const all = Math.max(this.before[of], this.now[of]);
    return all === 0 ? 100 : (this.same[of] / all) * 100;
  }
}

function add(count: Count, row: Row): void {
  if (row.type === EntryType.directory || row.type === EntryType.deleted) return;
  count.entries++;
  if (row.type === EntryType.file) count.bytes += row.size;
}

function isSame(before: Row, now: Row): boolean {
  const device = now.type === EntryType.charDevice || now.type === EntryType.blockDevice;
  return (
    before.type === now.type &&
    before.mode === now.mode &&
    before.uid === now.uid &&
    before.gid === now.gid &&
    before.target === now.target &&
    (!device || (before.major === now.major && before.minor === now.minor)) &&
    sameContent(before, now)
  );
}
