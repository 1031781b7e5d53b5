/**
 * The database of dpkg as guests leave it below /var/lib/dpkg (dpkg(1), deb-control(5)): which packages are installed, and
 * which files are theirs. What guests wrote may be anything: no line, name or count is trusted.
 */

import { pathToKey } from "../../common/format/path.js";
import { Lines } from "./lines.js";

/** Keys of the files it consists of. */
export const DPKG = {
  directory: "var\0lib\0dpkg",
  status: "var\0lib\0dpkg\0status",
  diversions: "var\0lib\0dpkg\0diversions",
  info: "var\0lib\0dpkg\0info",
} as const;

/** Longest line that is looked at. Linux' longest path is 4096 bytes. */
const MAX_LINE = 8192;
const NAME = /^[a-z0-9][a-z0-9+.-]{0,120}$/;
const ARCHITECTURE = /^[a-z0-9][a-z0-9-]{0,40}$/;
/** As deb-version(7) has them. */
const VERSION = /^[0-9A-Za-z][0-9A-Za-z.+:~-]{0,200}$/;
/** States in which the files of a package are there, or some of them. */
const PRESENT = /\s(installed|unpacked|half-configured|half-installed|triggers-awaited|triggers-pending)$/;

export interface Package {
  name: string;
  architecture: string;
  version: string;
}

/** `status`: paragraphs of fields. Push its bytes, then call end(). */
export class StatusReader {
  readonly #lines = new Lines((line) => this.#line(line), MAX_LINE);
  readonly #found: { package: (found: Package) => void; conffile: (key: string) => void };
  #fields = new Map<string, string>();
  #field = "";
  /** Paragraphs that are no package in dpkg's form. */
  odd = 0;

  /** `conffile` hears keys of configuration files, of whichever package. */
  constructor(found: { package: (found: Package) => void; conffile: (key: string) => void }) {
    this.#found = found;
  }

  push(piece: Buffer): void {
    this.#lines.push(piece);
  }

  end(): void {
    this.#lines.end();
    this.#paragraph();
    this.odd += this.#lines.tooLong;
  }

  #line(line: string): void {
    if (line === "") {
      this.#paragraph();
      return;
    }
    if (line.startsWith(" ") || line.startsWith("\t")) {
      if (this.#field !== "conffiles") return;
      const path = /^\s(\/\S.*?) [0-9a-f]{32}(?: obsolete| remove-on-upgrade)*$/.exec(line)?.[1];
      const key = path === undefined ? undefined : keyOfLine(path);
      if (key !== undefined) this.#found.conffile(key);
      return;
    }
    const cut = line.indexOf(":");
    this.#field = cut < 0 ? "" : line.slice(0, cut).toLowerCase();
    if (WANTED.has(this.#field)) this.#fields.set(this.#field, line.slice(cut + 1).trim());
  }

  #paragraph(): void {
    const fields = this.#fields;
    this.#field = "";
    if (fields.size === 0) return;
    this.#fields = new Map();
    const [name = "", version = "", architecture = ""] = ["package", "version", "architecture"].map((each) =>
      fields.get(each),
    );
    if (!PRESENT.test(fields.get("status") ?? "") && fields.has("status")) return;
    if (NAME.test(name) && VERSION.test(version) && ARCHITECTURE.test(architecture) && fields.has("status"))
      this.#found.package({ name, architecture, version });
    else this.odd++;
  }
}

const WANTED: ReadonlySet<string> = new Set(["package", "status", "version", "architecture"]);

/** Of a file in `info`: whose list of files it is. `libc6:amd64.list` is that of `libc6`, architecture `amd64`. */
export interface ListName {
  name: string;
  /** "": the package's own. */
  architecture: string;
  kind: "list" | "md5sums";
}

/** Package that a file in `info` is about, if it is named as dpkg names them: lists, scripts, triggers and so on. */
export function infoPackageOf(base: string): string | undefined {
  const name = /^([^:]+)(?::[a-z0-9-]+)?\.[a-z0-9]+$/.exec(base)?.[1];
  return name !== undefined && NAME.test(name) ? name : undefined;
}

/** Undefined for other files, such as scripts. `base` is the last component of the path. */
export function listNameOf(base: string): ListName | undefined {
  const match = /^([^:]+)(?::([^:]+))?\.(list|md5sums)$/.exec(base);
  const [, name = "", architecture = "", kind = ""] = match ?? [];
  if (match === null || !NAME.test(name) || (architecture !== "" && !ARCHITECTURE.test(architecture)))
    return undefined;
  return { name, architecture, kind: kind as ListName["kind"] };
}

/** Files and directories named by a `.list` (a path a line) or `.md5sums` (digest, two blanks, path without `/`). */
export function ownedReader(kind: ListName["kind"], onKey: (key: string) => void): Lines {
  return new Lines((line) => {
    const path = kind === "list" ? line : /^[0-9a-f]{32} {2}(.+)$/.exec(line)?.[1];
    const key = path === undefined ? undefined : keyOfLine(kind === "list" ? path : `/${path}`);
    if (key !== undefined) onKey(key);
  }, MAX_LINE);
}

/** `diversions`: three lines each, the second is where a package's file was put instead. */
export function diversionReader(onKey: (key: string) => void): Lines {
  let number = 0;
  return new Lines((line) => {
    const key = number++ % 3 === 1 ? keyOfLine(line) : undefined;
    if (key !== undefined) onKey(key);
  }, MAX_LINE);
}

/** Key of an absolute path; undefined for what no list holds. */
function keyOfLine(path: string): string | undefined {
  if (!path.startsWith("/") || path.includes("\0") || path.length > 4096) return undefined;
  if (path === "/." || path === "/") return "";
  if (/\/(\.{0,2})(\/|$)/.test(path)) return undefined;
  return pathToKey(path);
}
