/**
 * Reads the manifest back: the exact inverse of manifest.ts (docs/volume-format.md, section 7). Strict: every line
 * must be the very one that its row would be written as, keys must ascend, a list of parts must have its identity
 * and its size, and the end must say the right count. Memory: one line, and the items of one piece.
 */
import {
  encodePart,
  MAX_WHOLE_BYTES,
  PART_BYTES,
  PartsIdentity,
  ZERO_DIGEST,
  ZERO_MAX_BYTES,
} from "../../common/format/content.js";
import { isBelow } from "../../common/format/path.js";
import { EntryType, encodeXattrs, type Row, type Xattr } from "../../common/format/row.js";
import { GarbledInput } from "../../common/format/varint.js";
import { type ContentPlace, formatWhere, hasParts, manifestLine, xattrLine } from "./manifest.js";
import { parseRowLine, unescapeText } from "./manifest-line.js";

/** What a manifest consists of, in the order of the text. */
export type ManifestItem =
  /** First: the facts about the job (docs/volume-format.md, section 7), by key. */
  | { type: "head"; facts: ReadonlyMap<string, string> }
  /** `where` is empty when it is not known, or the row has no content. */
  | { type: "row"; row: Row; where: ContentPlace[] }
  /**
   * Encoded parts (PART_BYTES each) of the row before, in order; a long list comes in several items. `last` when the
   * list is whole, and has been found to have the row's identity and size.
   */
  | { type: "parts"; parts: Buffer; last: boolean }
  /** Last: the manifest is complete. */
  | { type: "end"; rows: number };

/** Longest line: a path, a link group and an attribute, each byte escaped. */
const MAX_LINE_BYTES = 2 * 1024 * 1024;
const MAX_HEAD_BYTES = 4 * 1024 * 1024;
/** All attributes of one entry, as everywhere else. */
const MAX_XATTR_BYTES = 4 * 1024 * 1024;
/** Parts handed on at a time. */
const PARTS_ITEM_BYTES = 4096 * PART_BYTES;

interface Pending {
  row: Row;
  where: ContentPlace[];
  xattrs: Xattr[];
  xattrBytes: number;
}

interface OpenParts {
  identity: PartsIdentity;
  size: number;
  /** Encoded and not handed on yet. */
  buffer: Buffer;
  used: number;
}

/** Feed the pieces of one manifest in order, then `finish`. After a GarbledInput it is of no further use. */
export class ManifestParser {
  #carry = "";
  #head: Map<string, string> | undefined = undefined;
  #headBytes = 0;
  #headTold = false;
  #pending: Pending | undefined;
  /** The row whose parts are coming. */
  #row: Row | undefined;
  #parts: OpenParts | undefined;
  #rows = 0;
  #lastKey: string | undefined;
  #leaf: string | undefined;
  #ended = false;

  /** Items that `piece` completes. Pieces may be cut anywhere. @throws GarbledInput while it is read */
  *push(piece: Buffer): Generator<ManifestItem, void> {
    let at = 0;
    if (!piece.includes(0x0a)) {
      // Looked through once, not again with every further piece.
      this.#carry += piece.latin1Slice();
      this.#checkCarry();
      return;
    }
    const text = this.#carry + piece.latin1Slice();
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", at)) {
      yield* this.#line(text.slice(at, end));
      at = end + 1;
    }
    this.#carry = text.slice(at);
    this.#checkCarry();
  }

  #checkCarry(): void {
    if (this.#carry.length > MAX_LINE_BYTES)
      throw new GarbledInput("manifest with a line of impossible length");
  }

  /** @throws GarbledInput when the manifest is cut off */
  finish(): void {
    if (!this.#ended || this.#carry !== "") throw new GarbledInput("the manifest is cut off");
  }

  *#line(line: string): Generator<ManifestItem, void> {
    if (this.#ended) throw new GarbledInput("manifest that goes on behind its end");
    if (line.length > MAX_LINE_BYTES) throw new GarbledInput("manifest with a line of impossible length");
    if (this.#head === undefined) {
      if (line !== "# basalt manifest 1") throw new GarbledInput("not a manifest of a known version");
      this.#head = new Map();
    } else if (line.startsWith("#")) yield* this.#hash(line);
    else if (line.startsWith("@\t")) this.#xattr(line);
    else if (line.startsWith("+\t")) yield* this.#partsLine(line);
    else {
      yield* this.#flush();
      this.#startRow(line);
    }
  }

  *#hash(line: string): Generator<ManifestItem, void> {
    const end = /^# end rows=(0|[1-9]\d{0,15})$/.exec(line);
    if (end === null) return this.#fact(line);
    yield* this.#flush();
    if (Number(end[1]) !== this.#rows)
      throw new GarbledInput("manifest with another number of rows than it says");
    this.#ended = true;
    yield { type: "end", rows: this.#rows };
  }

  #fact(line: string): void {
    const fact = /^# ([A-Za-z][A-Za-z0-9_-]*)=(.*)$/s.exec(line);
    this.#headBytes += line.length;
    if (fact === null || this.#headTold || this.#pending !== undefined || this.#headBytes > MAX_HEAD_BYTES) {
      throw new GarbledInput("manifest with a garbled fact");
    }
    if (this.#head!.has(fact[1]!)) throw new GarbledInput("manifest with a fact given twice");
    this.#head!.set(fact[1]!, Buffer.from(fact[2]!, "latin1").toString("utf8"));
  }

  /** Ends the row at hand. */
  *#flush(): Generator<ManifestItem, void> {
    if (!this.#headTold) {
      this.#headTold = true;
      yield { type: "head", facts: this.#head! };
    }
    yield* this.#tellRow();
    if (this.#parts !== undefined) yield this.#endParts(this.#row!, this.#parts);
  }

  /** Attributes are complete: the row can be told. */
  *#tellRow(): Generator<ManifestItem, void> {
    if (this.#pending === undefined) return;
    const { row, where, xattrs } = this.#pending;
    this.#pending = undefined;
    if (xattrs.length > 0) row.xattrs = encodeXattrs(xattrs)!;
    this.#row = row;
    if (hasParts(row)) {
      const buffer = Buffer.allocUnsafeSlow(PARTS_ITEM_BYTES);
      this.#parts = { identity: new PartsIdentity(), size: 0, buffer, used: 0 };
    }
    yield { type: "row", row, where };
  }

  #endParts(row: Row, parts: OpenParts): ManifestItem {
    this.#parts = undefined;
    const rest = Buffer.from(parts.buffer.subarray(0, parts.used));
    parts.identity.add(rest);
    if (parts.size !== row.size || !parts.identity.digest().equals(row.content!)) {
      throw new GarbledInput("manifest with a list of parts that is not the one of its file");
    }
    return { type: "parts", parts: rest, last: true };
  }

  #startRow(line: string): void {
    const { row, where } = parseRowLine(line);
    if (manifestLine(row, formatWhere(where)) !== `${line}\n`)
      throw new GarbledInput("manifest line in another form");
    if (this.#lastKey !== undefined && row.key <= this.#lastKey)
      throw new GarbledInput("manifest out of path order");
    if (this.#leaf !== undefined && isBelow(this.#leaf, row.key)) {
      throw new GarbledInput("manifest with an entry below one that is no directory");
    }
    this.#lastKey = row.key;
    if (row.type !== EntryType.directory && row.type !== EntryType.deleted) this.#leaf = row.key;
    this.#rows++;
    this.#pending = { row, where, xattrs: [], xattrBytes: 0 };
  }

  #xattr(line: string): void {
    const pending = this.#pending;
    const [, name, value, more] = line.split("\t");
    if (
      pending === undefined ||
      pending.row.type === EntryType.deleted ||
      value === undefined ||
      more !== undefined
    ) {
      throw new GarbledInput("manifest with a misplaced attribute");
    }
    const xattr = {
      name: unescapeText(name!),
      value: value === "-" ? Buffer.alloc(0) : Buffer.from(value, "base64"),
    };
    const { length } = xattr.name;
    pending.xattrBytes += length + xattr.value.length;
    if (length === 0 || length > 255 || xattr.name.includes("\0") || xattr.value.length > 65_536) {
      throw new GarbledInput("manifest with an impossible attribute");
    }
    if (pending.xattrBytes > MAX_XATTR_BYTES) throw new GarbledInput("manifest with too many attributes");
    if (xattrLine(xattr) !== `${line}\n`) throw new GarbledInput("manifest line in another form");
    pending.xattrs.push(xattr);
  }

  *#partsLine(line: string): Generator<ManifestItem, void> {
    yield* this.#tellRow();
    const parts = this.#parts;
    if (parts === undefined) throw new GarbledInput("manifest with misplaced parts");
    for (const word of line.slice(2).split(" ")) {
      const found = /^(zero|[0-9a-f]{64}):([1-9]\d{0,9})$/.exec(word);
      const zero = found?.[1] === "zero";
      const length = Number(found?.[2]);
      const digest = zero || found === null ? ZERO_DIGEST : Buffer.from(found[1]!, "hex");
      if (
        found === null ||
        length > (zero ? ZERO_MAX_BYTES : MAX_WHOLE_BYTES) ||
        (!zero && digest.equals(ZERO_DIGEST))
      ) {
        throw new GarbledInput("manifest with a garbled part");
      }
      if (parts.used === PARTS_ITEM_BYTES) {
        const full = Buffer.from(parts.buffer);
        parts.identity.add(full);
        parts.used = 0;
        yield { type: "parts", parts: full, last: false };
      }
      parts.used = encodePart(parts.buffer, parts.used, length, digest);
      parts.size += length;
      if (!Number.isSafeInteger(parts.size))
        throw new GarbledInput("manifest with a file of impossible size");
    }
  }
}
