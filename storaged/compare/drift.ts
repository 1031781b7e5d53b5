/**
 * What one machine differs in from its Bases: both lists are read once, side by side, then each Base's once more for
 * contents. What grows with the lists lies in a scratch database.
 */

import { isBelow, isWithin } from "../../common/format/path.js";
import { EntryType, type Row, sameContent, sameRow } from "../../common/format/row.js";
import type { Db } from "../catalog/schema.js";
import { DPKG, infoPackageOf } from "./dpkg.js";
import { Findings, type Found } from "./findings.js";
import { OpenLists } from "./open-lists.js";
import { readPackages } from "./package-database.js";
import { SmallFiles } from "./small-files.js";
import { type DriftKind, type DriftRequest, type MachineDrift, noAmount, type Script } from "./steps.js";

const STEP_ROWS = 20_000;
const SET_ID = 0o6000;
const EXECUTE = 0o111;
/** Directories whose files are programs and libraries, whatever their mode; what lies in /var/lib are data. */
const PROGRAMS = /(^|\0)(s?bin|lib(32|64|x32|exec)?)\0/;
const DATA = /^var\0lib\0/;
/** Below these, files of a Base without a readable package database count as those of packages. */
const SYSTEM = /^(usr|bin|sbin|lib(32|64|x32)?|boot|opt)\0/;

export class DriftScript {
  readonly #request: DriftRequest;
  readonly #lists: OpenLists;
  readonly #files: SmallFiles;
  readonly #findings = new Findings();
  readonly #notes: string[] = [];
  readonly #same = noAmount();
  #packages: MachineDrift["packages"] = "none";

  constructor(db: Db, request: DriftRequest) {
    this.#request = request;
    this.#lists = new OpenLists(db);
    this.#files = new SmallFiles(db);
  }

  *run(): Script {
    const { machine, top } = this.#request;
    const { name, jobId, bases } = machine;
    const findings = this.#findings;
    try {
      const tools = {
        open: (side: "machine" | "base") =>
          side === "machine" ? this.#lists.effective(jobId) : this.#lists.over(bases),
        files: this.#files,
        findings,
        note: (text: string) => void this.#notes.push(text),
      };
      this.#packages = yield* readPackages(tools, machine);
      yield* this.#compare();
      for (const base of bases) yield* this.#contents(base);
      const drift: MachineDrift = {
        ...{ name, jobId, bases, packages: this.#packages, notes: this.#notes, same: this.#same },
        ...findings.contents(),
        ...findings.entries(top),
        ...findings.packages(top),
      };
      yield { ask: "drift", drift };
      yield { ask: "end" };
    } finally {
      findings.close();
    }
  }

  *#compare(): Script {
    const { name, jobId, bases } = this.#request.machine;
    const [upper, lower] = [this.#lists.effective(jobId), this.#lists.over(bases)];
    for (let looked = 1; upper.row !== undefined || lower.row !== undefined; looked++) {
      const [above, below] = [upper.row, lower.row];
      if (above === undefined || (below !== undefined && below.key < above.key)) {
        if (!this.#isRecord(below!)) this.#findings.add(this.#missing(below!));
        lower.advance();
      } else {
        const other = below !== undefined && below.key === above.key ? below : undefined;
        if (other !== undefined && sameRow(above, other)) {
          this.#same.entries++;
          this.#same.bytes += above.size;
        } else {
          const what = other === undefined ? this.#added(above) : this.#changed(above, other);
          const digest = above.type === EntryType.file ? above.content : undefined;
          this.#findings.add({ ...what, key: above.key, size: above.size, digest });
        }
        upper.advance();
        if (other !== undefined) lower.advance();
      }
      if (looked % STEP_ROWS === 0) yield { ask: "progress", name, entries: STEP_ROWS };
    }
  }

  /** Which of the machine's contents a Base has, wherever. */
  *#contents(base: number): Script {
    const { name } = this.#request.machine;
    const list = this.#lists.effective(base);
    for (let rows = 1; list.row !== undefined; list.advance(), rows++) {
      const { type, content } = list.row;
      if (type === EntryType.file && content !== undefined) this.#findings.hold(content);
      if (rows % STEP_ROWS === 0) yield { ask: "progress", name, entries: STEP_ROWS };
    }
  }

  /** Part of dpkg's own records, as every change of packages changes them. Nobody runs what is there but dpkg. */
  #isRecord(row: Row): boolean {
    if (this.#packages !== "dpkg" || !isWithin(DPKG.directory, row.key)) return false;
    if (!isBelow(DPKG.info, row.key)) return rankOf(row) === 0;
    const name = infoPackageOf(row.key.slice(DPKG.info.length + 1));
    if (name === undefined) return false;
    return this.#findings.isInstalled("machine", name) || this.#findings.isInstalled("base", name);
  }

  #missing({ key, size }: Row): Found {
    const owner = this.#findings.ownerOf(key);
    return { kind: owner === undefined ? "missing" : "missing-package", key, size, package: owner ?? "" };
  }

  #changed(row: Row, base: Row): Pick<Found, "kind" | "package" | "what" | "rank"> {
    const what = differencesOf(row, base);
    // Another time, and nothing else: a package that was installed anew, a directory that was written to.
    if (what.length === 0 || this.#isRecord(row)) return { kind: undefined };
    const owner = this.#findings.ownerOf(row.key);
    const rank = rankOf(row) - rankOf(base) > 0 ? 1 : 0;
    return { kind: this.#kindOf(row.key, owner), package: owner ?? "", what, rank };
  }

  #kindOf(key: string, owner: string | undefined): DriftKind {
    if (this.#packages !== "dpkg") {
      if (key.startsWith("etc\0")) return "configuration";
      return SYSTEM.test(key) ? "package" : "changed";
    }
    if (this.#findings.isConffile(key)) return "configuration";
    if (owner === undefined) return "changed";
    return this.#findings.inBase(owner) === "other" ? "version" : "package";
  }

  #added(row: Row): Pick<Found, "kind" | "package" | "what" | "rank"> {
    if (this.#isRecord(row)) return { kind: undefined };
    const owner = this.#findings.ownerOf(row.key);
    if (owner !== undefined) {
      const kind = this.#findings.inBase(owner) === "other" ? "version" : "added";
      return { kind, package: owner };
    }
    const rank = rankOf(row);
    if (row.type !== EntryType.file || (rank === 0 && !isProgramPath(row.key))) return { kind: "extra" };
    return { kind: "unmanaged", what: [["library path", "executable", "set-id"][rank]!], rank };
  }
}

const isProgramPath = (key: string): boolean => PROGRAMS.test(key.replace(DATA, ""));

/** 2: runs with another's rights; 1: may be run. */
function rankOf({ type, mode }: Row): number {
  if (type !== EntryType.file || (mode & EXECUTE) === 0) return 0;
  return (mode & SET_ID) === 0 ? 1 : 2;
}

/** In words; times do not count, nor do other names of a file. */
function differencesOf(row: Row, base: Row): string[] {
  if (row.type !== base.type) return ["type"];
  const what: string[] = [];
  if (row.size !== base.size || !sameContent(row, base)) what.push("content");
  if (row.target !== base.target) what.push("target");
  if (row.major !== base.major || row.minor !== base.minor) what.push("device");
  if (row.mode !== base.mode) what.push("mode");
  if (row.uid !== base.uid || row.gid !== base.gid) what.push("owner");
  if ((row.xattrs ?? NONE).compare(base.xattrs ?? NONE) !== 0) what.push("attributes");
  return what;
}

const NONE = Buffer.alloc(0);
