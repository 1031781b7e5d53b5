/**
 * Which files a console may see and restore: DirectoryACL and UserIdACL. A file passes when a directory pattern grants
 * the place and one of the identities could read it in the backed up tree, ways to it included, as a file system
 * would decide. The two are independent of each other; both must pass.
 */

import { readFileSync } from "node:fs";
import { bytesOfText, isWithin, pathToKey } from "../../../common/format/path.js";
import type { Acl } from "../acl.js";
import { fnmatch, hasWildcard } from "../fnmatch.js";

/** What of an entry decides; `path` is a latin1 carrier. */
export interface GateEntry {
  path: string;
  type: string;
  mode: number;
  uid: number;
  gid: number;
}

/** An element of UserIdACL; -1: not given. */
interface Identity {
  uid: number;
  gid: number;
}

const READ = 4;
const SEARCH = 1;

export class EntryGate {
  /** True when every file passes. */
  readonly open: boolean;
  /** True when every owner's files pass. */
  readonly anyUser: boolean;
  readonly #anyDirectory: boolean;
  readonly #granted: readonly string[];
  readonly #denied: readonly string[];
  readonly #identities: readonly Identity[];

  constructor(acl: Acl) {
    this.#anyDirectory = acl.grantsAll("directory");
    this.anyUser = acl.grantsAll("userId");
    this.open = this.#anyDirectory && this.anyUser;
    const patterns = acl.entries("directory").map((entry) => entry.trim());
    this.#denied = patterns.filter((each) => each.startsWith("!")).map((each) => bytesOfText(each.slice(1)));
    this.#granted = patterns
      .filter((each) => !each.startsWith("!"))
      .map((each) => (each.toLowerCase() === "*all*" ? "*" : bytesOfText(each)));
    this.#identities = this.anyUser ? [] : acl.entries("userId").flatMap(identityOf);
  }

  /** Whether DirectoryACL grants the place of an entry. */
  grantsPlace(path: string, isDirectory: boolean): boolean {
    if (this.#anyDirectory) return true;
    const fits = (pattern: string): boolean => placeFits(pattern, path, isDirectory);
    return this.#granted.some(fits) && !this.#denied.some(fits);
  }

  /** Whether the way to a granted place leads through this directory: it may be entered, not restored. */
  leadsOn(path: string): boolean {
    if (this.#anyDirectory) return true;
    const top = path === "/" ? "/" : `${path}/`;
    return this.#granted.some((pattern) => {
      const literal = hasWildcard(pattern) ? pattern.slice(0, pattern.search(/[*?[]/)) : `${pattern}/`;
      return literal.startsWith(top) || (hasWildcard(pattern) && top.startsWith(literal));
    });
  }

  /** Whether an identity may read the entry itself; links are read by whoever gets to them. */
  mayRead(entry: GateEntry): boolean {
    if (this.anyUser) return true;
    if (entry.type === "symlink") return this.#identities.length > 0;
    return this.#identities.some((identity) => (bitsFor(identity, entry) & READ) !== 0);
  }

  /** Whether an identity gets to what lies in this directory. */
  maySearch(entry: GateEntry): boolean {
    return this.anyUser || this.#identities.some((identity) => (bitsFor(identity, entry) & SEARCH) !== 0);
  }
}

/** How an entry stands: to be restored, only to be walked through, or not to be seen. */
export type Standing = "open" | "way" | "closed";

/** Follows entries in path order; what lies in a directory that is closed to all identities is closed as well. */
export class GateWalk {
  readonly #gate: EntryGate;
  #closed: string | undefined;

  /** `closed`: key of a directory that is known to be closed, when the entries begin within it. */
  constructor(gate: EntryGate, closed?: string) {
    this.#gate = gate;
    this.#closed = closed;
  }

  standing(entry: GateEntry): Standing {
    const key = pathToKey(entry.path);
    if (this.#closed !== undefined && isWithin(this.#closed, key)) return "closed";
    this.#closed = undefined;
    const isDirectory = entry.type === "directory";
    const enters = !isDirectory || this.#gate.maySearch(entry);
    if (!enters) this.#closed = key;
    if (this.#gate.grantsPlace(entry.path, isDirectory) && this.#gate.mayRead(entry)) return "open";
    return isDirectory && enters && this.#gate.leadsOn(entry.path) ? "way" : "closed";
  }
}

/**
 * `/home/bob/*`: everything below; `/etc/`: what lies directly in it; `/srv/data`: it and everything below.
 * (Bacula's manual, "DirectoryACL"; the last form is Basalt's.)
 */
function placeFits(pattern: string, path: string, isDirectory: boolean): boolean {
  const within = path === "/" ? "/" : path.slice(0, path.lastIndexOf("/") + 1);
  const own = path === "/" ? "/" : `${path}/`;
  if (hasWildcard(pattern)) return fnmatch(pattern, within) || (isDirectory && fnmatch(pattern, own));
  if (pattern.endsWith("/")) return within === pattern || (isDirectory && own === pattern);
  return pattern !== "" && isWithin(pathToKey(pattern), pathToKey(path));
}

/** Permission bits that count for an identity, as a kernel chooses them. */
function bitsFor({ uid, gid }: Identity, entry: GateEntry): number {
  if (uid === 0) return READ | SEARCH;
  if (uid === entry.uid) return (entry.mode >> 6) & 7;
  if (gid === entry.gid) return (entry.mode >> 3) & 7;
  return entry.mode & 7;
}

/** `bob`, `1000`, `1000:100`, `:users`; names are those of the director's machine. Nothing for unknown ones. */
function identityOf(text: string): Identity[] {
  const match = /^([^:]*)(?::(.*))?$/.exec(text.trim());
  const [user = "", group = ""] = match === null ? [] : [match[1]!, match[2] ?? ""];
  const uid = user === "" ? -1 : numberOf("/etc/passwd", user);
  const gid = group === "" ? -1 : numberOf("/etc/group", group);
  if (uid === undefined || gid === undefined || (uid < 0 && gid < 0)) return [];
  return [{ uid, gid }];
}

function numberOf(file: string, name: string): number | undefined {
  if (/^\d{1,10}$/.test(name)) return Number(name);
  try {
    const line = readFileSync(file, "utf8")
      .split("\n")
      .find((each) => each.startsWith(`${name}:`));
    const number = line?.split(":")[2];
    return number === undefined ? undefined : Number(number);
  } catch {
    return undefined;
  }
}
