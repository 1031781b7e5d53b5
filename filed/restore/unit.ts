/** Worker side: carries out one message of the data stream and reports what became of its entries. */
import { createHash } from "node:crypto";
import { describeError } from "../../common/errors.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { GarbledInput } from "../../common/format/varint.js";
import { decompressUnchecked } from "../../common/format/zstd.js";
import { unlinkAt } from "../../common/sys/files.js";
import { decodeData, type Piece, RestoreKind } from "../../proto/data/restore.js";
import { newStat, statFd } from "../sys/stat.js";
import { BornRight } from "./born-right.js";
import { type Device, Devices } from "./devices.js";
import { feedFile, feedWhole, goesToFifo } from "./feed-fifo.js";
import { checkReplace, keepReason, makeFolder, makeLink, makeSpecial } from "./install.js";
import { applyToFd } from "./metadata.js";
import type { RestoreWorkerData, UnitReport } from "./protocol.js";
import { Relocator } from "./relocator.js";
import { type Outcome, Reporter } from "./reporter.js";
import { EntryError, type Place, Target } from "./target.js";
import { verified } from "./verified.js";
import { finishFile, writePieces, writeWhole } from "./write.js";

/** Unfinished files remembered for removal after a failure; more than these stay behind, recognizable by name. */
const MAX_REMEMBERED = 20_000;
const EMPTY = Buffer.alloc(0);
const rootStat = newStat();

export class UnitRunner {
  readonly #data: RestoreWorkerData;
  readonly #target: Target;
  /** For the second parent of a hard link. */
  readonly #other: Target;
  readonly #reporter: Reporter;
  readonly #devices: Devices;
  readonly #bornRight: BornRight;
  readonly #relocator: Relocator;
  /** Names of the unfinished by key. */
  readonly #unfinished = new Map<string, string>();
  /** Files of which a piece was bad: told once. */
  readonly #bad = new Set<string>();
  /** Directories that were there and keep their metadata by the replace rule. */
  readonly #kept = new Set<string>();
  #raw = Buffer.allocUnsafeSlow(2 * 1024 * 1024);
  #counter = 0;

  constructor(data: RestoreWorkerData) {
    this.#data = data;
    this.#target = new Target(data.baseFd);
    this.#other = new Target(data.baseFd);
    this.#reporter = new Reporter(data);
    this.#devices = new Devices(data, this.#target);
    this.#relocator = new Relocator(data.regexWhere);
    this.#bornRight = new BornRight(data.targetIsNew);
  }

  /** @throws GarbledInput on a message that is none; SysError when nothing more can be written */
  run(message: Buffer, failed: readonly string[]): UnitReport {
    const each = (rows: Row[], action: (row: Row) => Outcome): void => {
      for (const row of this.#relocator.move(rows)) this.#entry(row, () => action(row));
    };
    switch (message[0]) {
      case RestoreKind.make:
        each(decodeBlock(message.subarray(1)), (row) => this.#make(row));
        break;
      case RestoreKind.data:
        this.#writeData(message);
        break;
      case RestoreKind.finish: {
        const bad = new Set(failed);
        each(decodeBlock(message.subarray(1)), (row) => this.#finish(row, bad));
        break;
      }
      case RestoreKind.links:
        each(decodeBlock(message.subarray(1)), (row) => this.#link(row));
        break;
      case RestoreKind.folders:
        each(decodeBlock(message.subarray(1)).reverse(), (row) => this.#folder(row));
        break;
      default:
        throw new GarbledInput(`unknown message ${message[0]} in a restore`);
    }
    return this.#reporter.take();
  }

  #entry(row: Row, action: () => Outcome): void {
    this.#reporter.entry(row, () => {
      this.#relocator.check(row);
      return action();
    });
  }

  /** Removes what was begun and not finished. */
  cleanup(): void {
    for (const [key, name] of this.#unfinished) {
      try {
        unlinkAt(this.#target.parentOf(key, false).fd, name);
      } catch {
        // Another thread that wrote pieces of the same file was first, or the directory is gone.
      }
    }
    this.#unfinished.clear();
  }

  readonly #stopped = (): boolean => Atomics.load(new Int32Array(this.#data.stop), 0) !== 0;

  /** Lets go of all descriptors. */
  close(): void {
    this.#target.close();
    this.#other.close();
  }

  #temporaryName(): string {
    return `.basalt-${this.#data.tag}-${this.#data.worker}-${this.#counter++}`;
  }

  /** The same in every thread. */
  #pieceName(row: Row): string {
    const hash = createHash("sha256")
      .update(this.#relocator.stored(row), "latin1")
      .digest("hex")
      .slice(0, 24);
    return `.basalt-${this.#data.tag}-${hash}`;
  }

  #make(row: Row): Outcome {
    const { replace } = this.#data;
    if (row.key === "") return this.#relocator.isMerged(row) ? mergedOnly(row) : this.#makeRoot(row);
    const place = this.#target.parentOf(row.key);
    if (row.type === EntryType.directory) {
      const there = makeFolder(place, row, replace);
      if (there !== undefined && keepReason(row, there, replace) !== undefined) this.#kept.add(row.key);
      return "made";
    }
    if (row.type === EntryType.file) {
      if (row.size > 0) throw new EntryError("a file without its content");
      return this.#writeWhole(place, row, EMPTY);
    }
    const device = row.type === EntryType.charDevice || row.type === EntryType.blockDevice;
    if (device && process.geteuid?.() !== 0) {
      this.#reporter.count("device", "only root can make devices");
      return "untold";
    }
    makeSpecial(place, row, replace, this.#temporaryName(), this.#reporter.count);
    return "made";
  }

  /** The target itself is there already; it gets the root's metadata like any directory. */
  #makeRoot(row: Row): Outcome {
    if (row.type !== EntryType.directory) throw new EntryError("the root can only be a directory");
    statFd(this.#data.baseFd, rootStat);
    const keeps = keepReason(row, rootStat, this.#data.replace) !== undefined;
    if (keeps && !this.#data.targetIsNew) this.#kept.add("");
    return "made";
  }

  #writeWhole(place: Place, row: Row, bytes: Buffer): Outcome {
    checkReplace(place, row, this.#data.replace);
    if (goesToFifo(place, row)) {
      feedWhole({ ...place, stopped: this.#stopped }, bytes);
      return "made";
    }
    const { inheritsAcl } = this.#target;
    const { count } = this.#reporter;
    const { targetIsNew: direct } = this.#data;
    writeWhole(place, row, bytes, {
      temporary: this.#temporaryName(),
      direct,
      bornRight: this.#bornRight,
      inherits: inheritsAcl,
      count,
    });
    return "made";
  }

  #writeData(message: Buffer): void {
    const { rows, pieces, rawBytes, frame } = decodeData(message);
    const byRow: Piece[][] = rows.map(() => []);
    for (const piece of pieces) byRow[piece.row]!.push(piece);
    const raw = this.#decompress(frame, rawBytes);
    this.#relocator.move(rows).forEach((row, index) => {
      const list = byRow[index]!;
      if ((row.flags & RowFlag.parts) === 0) this.#entry(row, () => this.#writeFile(row, list, raw));
      else if (
        !this.#bad.has(row.key) &&
        !this.#reporter.pieces(row, () => this.#writePieces(row, list, raw))
      ) {
        this.#bad.add(row.key);
      }
    });
  }

  /** The raw frame, or why there is none. */
  #decompress(frame: Buffer, rawBytes: number): Buffer | string {
    if (rawBytes > this.#raw.length) this.#raw = Buffer.allocUnsafeSlow(rawBytes);
    const raw = this.#raw.subarray(0, rawBytes);
    try {
      decompressUnchecked(raw, frame);
      return raw;
    } catch (error) {
      return describeError(error);
    }
  }

  #writeFile(row: Row, pieces: Piece[], raw: Buffer | string): Outcome {
    if (pieces.length !== 1) throw new EntryError("its content came in a wrong number of pieces");
    const data = verified(row, pieces, raw);
    const device = this.#devices.deviceOf(row);
    if (device !== undefined) {
      this.#devices.write(device, row, data);
      return this.#finishDevice(device, row);
    }
    return this.#writeWhole(this.#target.parentOf(row.key), row, data[0]!.bytes);
  }

  #writePieces(row: Row, pieces: Piece[], raw: Buffer | string): void {
    this.#relocator.check(row);
    const data = verified(row, pieces, raw);
    const device = this.#devices.deviceOf(row);
    if (device !== undefined) {
      this.#devices.write(device, row, data);
      return;
    }
    const place = this.#target.parentOf(row.key);
    checkReplace(place, row, this.#data.replace);
    const temporary = this.#pieceName(row);
    if (this.#unfinished.size < MAX_REMEMBERED) this.#unfinished.set(row.key, temporary);
    writePieces(place, row, temporary, data);
  }

  #finishDevice(device: Device, row: Row): Outcome {
    this.#devices.finish(device, row);
    return "made";
  }

  #finish(row: Row, bad: ReadonlySet<string>): Outcome {
    if (row.type !== EntryType.file || row.key === "") throw new EntryError("content for what is no file");
    const device = this.#devices.deviceOf(row);
    if (device !== undefined) {
      if (bad.has(row.key)) throw this.#devices.incomplete(device);
      return this.#finishDevice(device, row);
    }
    const place = this.#target.parentOf(row.key);
    const temporary = this.#pieceName(row);
    this.#unfinished.delete(row.key);
    if (bad.has(row.key)) {
      removeQuietly(place, temporary);
      throw new EntryError("left out, for its data is not complete");
    }
    checkReplace(place, row, this.#data.replace);
    if (goesToFifo(place, row)) {
      feedFile({ ...place, stopped: this.#stopped }, row, temporary);
      return "made";
    }
    const { inheritsAcl } = this.#target;
    finishFile(place, row, { temporary, inherits: inheritsAcl, count: this.#reporter.count });
    return "made";
  }

  #link(row: Row): Outcome {
    if (row.group === undefined || row.key === "" || row.group === "")
      throw new EntryError("a link to nothing");
    this.#reporter.checkAllowed(row.group);
    const place = this.#target.parentOf(row.key);
    makeLink(this.#other.parentOf(row.group, false), place, row, this.#data.replace, this.#temporaryName());
    return "made";
  }

  #folder(row: Row): Outcome {
    if (row.type !== EntryType.directory) throw new EntryError("no directory");
    if (this.#relocator.isMerged(row)) return "untold";
    // It counted when it was made.
    if (!this.#kept.delete(row.key)) {
      applyToFd(this.#target.directory(row.key), row, false, this.#reporter.count);
    }
    return "untold";
  }
}

/** A directory that falls together with the target: there is nothing to make, and nothing of it to set. */
function mergedOnly(row: Row): Outcome {
  if (row.type !== EntryType.directory) throw new EntryError("the root can only be a directory");
  return "made";
}

function removeQuietly(place: Place, name: string): void {
  try {
    unlinkAt(place.fd, name);
  } catch {
    // No piece of it was written.
  }
}
