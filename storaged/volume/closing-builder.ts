/**
 * Turns the list blocks of a job into its closing frames: tar members for everything that has no bytes of its own,
 * and the manifest. Pure but for its source and sink, so that it runs in a worker thread or in place. Memory:
 * a few blocks of rows, the directories above one path, and two frames, whatever the length of the list.
 */
import { FRAME_TARGET_BYTES, MAX_WHOLE_BYTES, PART_BYTES } from "../../common/format/content.js";
import { isReservedKey, manifestName, memberName } from "../../common/format/member.js";
import { isBelow } from "../../common/format/path.js";
import { decodeXattrs, EntryType, type Row } from "../../common/format/row.js";
import { type TarMember, tarHeaderInPlace, tarPadding } from "../../common/format/tar.js";
import { ByteWriter, GarbledInput } from "../../common/format/varint.js";
import { Compressor } from "../../common/format/zstd.js";
import { Lookahead } from "./closing-lookahead.js";
import { hasParts, manifestLine, partsLines, xattrLine } from "./manifest.js";

export interface ClosingOptions {
  jobId: number;
  /** The pool was empty: hard links to small files can be members, because their first member is one. */
  selfContained: boolean;
  /** Facts for the head of the manifest, a line `# key=value` each; without line breaks. */
  head: readonly (readonly [key: string, value: string])[];
  /** Modification time of the manifest members. (Default: 0) */
  timeMs?: number;
  /** zstd level. (Default: 3) */
  level?: number;
  /** Of the list: in the names of the manifest's members. (Default: 1) */
  revision?: number;
  /** The list of a run is written anew: only the manifest, the members stand with the run's first list. */
  listOnly?: boolean;
}

/** A content whose place is asked for. */
export interface ContentQuery {
  content: Buffer;
  /** True when `content` is the identity of a parts list. */
  parts: boolean;
}

/** A frame without chunks. */
export interface RawFrame {
  rawBytes: number;
  data: Buffer;
}

export interface ClosingSource {
  /** Next list block, in path order; undefined at the end, also when asked again. One is asked for at a time. */
  nextBlock(): Promise<Buffer | undefined>;
  /** Asked for several blocks at a time, and while parts are read. */
  locate(queries: readonly ContentQuery[]): Promise<readonly string[]>;
  partsOf(content: Buffer): AsyncIterable<Buffer>;
  emit(frame: RawFrame): Promise<void>;
}

export interface ClosingCounts {
  frames: number;
  /** Closing members, without those of the manifest. */
  members: number;
  rows: number;
}

const MANIFEST_VERSION = 1;
/** A manifest member is closed before it would exceed this. */
const MANIFEST_BYTES = MAX_WHOLE_BYTES;
/** Attributes beyond this stand in the manifest only: tar programs need not take headers of any size. */
const MAX_MEMBER_XATTRS = 1024 * 1024;

/** @throws GarbledInput when the list is not one: bad blocks, blocks out of order, entries below a non-directory. */
export async function buildFrames(options: ClosingOptions, source: ClosingSource): Promise<ClosingCounts> {
  const builder = new ClosingBuilder(options, source);
  const ahead = new Lookahead(source);
  for (;;) {
    const block = await ahead.next();
    if (block === undefined) return builder.finish();
    await builder.addRows(block.rows, await block.places);
  }
}

/** By level. One has a megabyte, which it should not cost for each job until the garbage collector comes by. */
const compressors = new Map<number, Compressor>();

function compressorOf(level: number): Compressor {
  const compressor = compressors.get(level) ?? new Compressor(level);
  compressors.set(level, compressor);
  return compressor;
}

class ClosingBuilder {
  readonly #options: ClosingOptions;
  readonly #source: ClosingSource;
  readonly #compressor: Compressor;
  readonly #members = new ByteWriter(FRAME_TARGET_BYTES + 65_536);
  readonly #manifest = new ByteWriter(MANIFEST_BYTES + 65_536);
  readonly #counts: ClosingCounts = { frames: 0, members: 0, rows: 0 };
  #manifestNumber = 0;
  #lastKey: string | undefined;
  /**
   * Directories that may have more in them, outermost first. Each becomes a member behind all that lies in it:
   * bsdtar sets the time of a directory that exists already at once, and would lose it again otherwise.
   */
  readonly #open: Row[] = [];
  /** The innermost of them that was written once already, ahead of what lies in it. */
  #announced: Row | undefined;
  /** Newest row that is no directory: nothing may follow below it. */
  #leaf: string | undefined;

  constructor(options: ClosingOptions, source: ClosingSource) {
    this.#options = options;
    this.#source = source;
    this.#compressor = compressorOf(options.level ?? 3);
    let head = `# basalt manifest ${MANIFEST_VERSION}\n`;
    for (const [key, value] of options.head) head += `# ${key}=${value.replace(/[\r\n\0]/g, " ")}\n`;
    this.#manifest.raw(Buffer.from(head, "utf8"));
  }

  /** `places`: a text for each row that has content. */
  async addRows(rows: readonly Row[], places: readonly string[]): Promise<void> {
    if (places.length !== rows.filter(({ content }) => content !== undefined).length)
      throw new RangeError("locate answered another number of places");
    let next = 0;
    for (const row of rows) {
      this.#checkOrder(row);
      if (this.#leaves(row.key)) await this.#leave(row.key);
      const where = row.content === undefined ? "-" : places[next++]!;
      if (row.type === EntryType.directory) this.#open.push(row);
      else {
        if (leadsAway(row)) await this.#announce();
        const full = this.#addMember(row);
        if (full !== undefined) await full;
      }
      // Waited for only where there is something to wait for: promises for each row would cost as much as its line.
      const full = this.#text(manifestLine(row, where));
      if (full !== undefined) await full;
      if (row.xattrs !== undefined || hasParts(row)) await this.#addMoreLines(row);
      this.#counts.rows++;
    }
  }

  async finish(): Promise<ClosingCounts> {
    await this.#text(`# end rows=${this.#counts.rows}\n`);
    await this.#flushManifest();
    // The manifest lies below the root, which therefore comes last.
    await this.#leave(undefined);
    await this.#flushMembers();
    return this.#counts;
  }

  // A restore with tar would follow a symbolic link out of the target if entries lay below it.
  #checkOrder(row: Row): void {
    if (this.#lastKey !== undefined && row.key <= this.#lastKey)
      throw new GarbledInput("list out of path order");
    if (this.#leaf !== undefined && isBelow(this.#leaf, row.key)) {
      throw new GarbledInput("list with an entry below one that is no directory");
    }
    this.#lastKey = row.key;
    if (row.type !== EntryType.directory && row.type !== EntryType.deleted) this.#leaf = row.key;
  }

  #leaves(key: string): boolean {
    const top = this.#open.at(-1);
    return top !== undefined && !isBelow(top.key, key);
  }

  /** Writes the directories that `key` is not in; all of them when there is none. */
  async #leave(key: string | undefined): Promise<void> {
    for (let top = this.#open.at(-1); top !== undefined; top = this.#open.at(-1)) {
      if (key !== undefined && isBelow(top.key, key)) return;
      await this.#addMember(top);
      this.#open.pop();
    }
  }

  /**
   * GNU tar makes symbolic links that lead away only at its end, and then sets the time of their directory again if
   * that was a member before them.
   */
  async #announce(): Promise<void> {
    const directory = this.#open.at(-1);
    if (directory === undefined || directory === this.#announced) return;
    this.#announced = directory;
    await this.#addMember(directory);
  }

  /** What it returns is to be waited for before anything else is added. */
  #addMember(row: Row): Promise<void> | undefined {
    if (this.#options.listOnly === true) return undefined;
    const member = closingMember(row, this.#options);
    if (member === undefined) return undefined;
    this.#members.raw(tarHeaderInPlace(member));
    this.#counts.members++;
    return this.#members.length >= FRAME_TARGET_BYTES ? this.#flushMembers() : undefined;
  }

  async #addMoreLines(row: Row): Promise<void> {
    if (row.xattrs !== undefined) {
      for (const xattr of decodeXattrs(row.xattrs)) await this.#text(xattrLine(xattr));
    }
    if (row.content === undefined || !hasParts(row)) return;
    for await (const parts of this.#source.partsOf(row.content)) {
      // In slices, so that no text is much longer than a member.
      for (let at = 0; at < parts.length; at += 4096 * PART_BYTES) {
        await this.#text(partsLines(parts.subarray(at, at + 4096 * PART_BYTES)));
      }
    }
  }

  /** What it returns is to be waited for before anything else is added. */
  #text(text: string): Promise<void> | undefined {
    if (this.#manifest.length + text.length <= MANIFEST_BYTES) {
      this.#manifest.text(text);
      return undefined;
    }
    return this.#flushManifest().then(() => this.#manifest.text(text));
  }

  async #flushManifest(): Promise<void> {
    const text = this.#manifest.bytes();
    if (text.length === 0) return;
    const header = tarHeaderInPlace({
      name: manifestName(this.#options.jobId, ++this.#manifestNumber, this.#options.revision),
      type: "file",
      mode: 0o600,
      uid: 0,
      gid: 0,
      size: text.length,
      mtimeSec: Math.floor((this.#options.timeMs ?? 0) / 1000),
      mtimeNsec: 0,
    });
    const raw = Buffer.concat([header, text, Buffer.alloc(tarPadding(text.length))]);
    this.#manifest.clear();
    await this.#emit(raw);
  }

  async #flushMembers(): Promise<void> {
    const raw = this.#members.bytes();
    if (raw.length === 0) return;
    await this.#emit(raw);
    this.#members.clear();
  }

  #emit(raw: Buffer): Promise<void> {
    this.#counts.frames++;
    return this.#source.emit({ rawBytes: raw.length, data: this.#compressor.compress(raw) });
  }
}

/** True for a symbolic link that could lead out of the directory that tar extracts into. */
function leadsAway(row: Row): boolean {
  return (
    row.type === EntryType.symlink && (row.target.startsWith("/") || row.target.split("/").includes(".."))
  );
}

const MEMBER_TYPES: Readonly<Partial<Record<EntryType, TarMember["type"]>>> = {
  [EntryType.file]: "file",
  [EntryType.directory]: "directory",
  [EntryType.symlink]: "symlink",
  [EntryType.charDevice]: "char",
  [EntryType.blockDevice]: "block",
  [EntryType.fifo]: "fifo",
};

/** The member that a row gets at commit; undefined when its content is a member already, or for the manifest alone. */
function closingMember(row: Row, options: ClosingOptions): TarMember | undefined {
  const type = MEMBER_TYPES[row.type];
  if (type === undefined || isReservedKey(row.key)) return undefined;
  if (row.group !== undefined && row.group !== row.key) {
    const leader = row.group;
    const hasMember = options.selfContained && !hasParts(row) && row.size <= MAX_WHOLE_BYTES;
    // Its attributes are those of the first member: there is only one inode.
    if (hasMember && !isReservedKey(leader))
      return memberOf(row, options.jobId, "link", memberName(options.jobId, leader));
    if (row.type === EntryType.file) return undefined;
  }
  if (row.size > 0) return undefined;
  const member = memberOf(row, options.jobId, type, row.target);
  if (row.xattrs !== undefined && row.xattrs.length <= MAX_MEMBER_XATTRS)
    member.xattrs = decodeXattrs(row.xattrs);
  return member;
}

function memberOf(row: Row, jobId: number, type: TarMember["type"], target: string): TarMember {
  return {
    name: memberName(jobId, row.key),
    type,
    mode: row.mode,
    uid: row.uid,
    gid: row.gid,
    size: 0,
    mtimeSec: row.mtimeSec,
    mtimeNsec: row.mtimeNsec,
    target,
    major: row.major,
    minor: row.minor,
    xattrs: undefined,
  };
}
