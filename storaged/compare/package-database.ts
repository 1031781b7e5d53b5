/** Reads the package databases of a machine and of its Base out of the files that they consist of. */

import { baseName, displayPath, isBelow, keyToPath } from "../../common/format/path.js";
import { EntryType, type Row } from "../../common/format/row.js";
import { behindSubtree, type OverlayCursor } from "../catalog/overlay.js";
import { DPKG, diversionReader, listNameOf, ownedReader, StatusReader } from "./dpkg.js";
import type { Findings, Side } from "./findings.js";
import type { SmallFiles } from "./small-files.js";
import type { ComparedMachine, MachineDrift, Script } from "./steps.js";

/** Files of a package database that are larger than that are none (the largest lists have some hundred KiB). */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** All lists of one machine together. */
const MAX_LIST_BYTES = 512 * 1024 * 1024;
/** Where rpm has its database, of whichever kind. */
const RPM = ["var\0lib\0rpm", "usr\0lib\0sysimage\0rpm"];

export interface DatabaseTools {
  /** Opens the list anew. */
  open: (side: Side) => OverlayCursor;
  files: SmallFiles;
  findings: Findings;
  /** Takes a line about what could not be read. */
  note: (text: string) => void;
}

/** Reads what there is; the machine's kind of database. */
export function* readPackages(
  tools: DatabaseTools,
  machine: ComparedMachine,
): Script<MachineDrift["packages"]> {
  const isRead = yield* readStatus(tools, "machine", machine);
  if (!isRead) return RPM.some((key) => rowAt(tools.open("machine"), key) !== undefined) ? "rpm" : "none";
  yield* readLists(tools, machine);
  if (machine.bases.length > 0) yield* readStatus(tools, "base", machine);
  return "dpkg";
}

/** The entry with this key. */
function rowAt(list: OverlayCursor, key: string): Row | undefined {
  list.seekWithin(key);
  return list.row?.key === key ? list.row : undefined;
}

function* readStatus(tools: DatabaseTools, side: Side, { name }: ComparedMachine): Script<boolean> {
  const { findings, note, open } = tools;
  const row = rowAt(open(side), DPKG.status);
  const whose = side === "base" ? "of the Base" : `of ${name}`;
  if (row === undefined || row.type !== EntryType.file) {
    if (side === "base") note("the Base has no dpkg database: versions cannot be compared");
    return false;
  }
  const reader = new StatusReader({
    package: (found) => findings.addPackage(side, found),
    conffile: (key) => (side === "machine" ? findings.addConffile(key) : undefined),
  });
  const why = yield* readFile(tools, row, (piece) => reader.push(piece));
  if (why !== undefined) {
    note(`${keyToPath(DPKG.status)} ${whose}: ${why}`);
    return false;
  }
  reader.end();
  if (reader.odd > 0)
    note(`${keyToPath(DPKG.status)} ${whose}: ${reader.odd} entries are not in dpkg's form`);
  return true;
}

function* readFile(
  tools: DatabaseTools,
  row: Row,
  onPiece: (piece: Buffer) => void,
): Script<string | undefined> {
  if (row.size > MAX_FILE_BYTES) return `${row.size} bytes are too many for such a file`;
  return yield* tools.files.read(row, onPiece);
}

/** Whose the machine's files are: `.list` files, `.md5sums` of packages without one, diversions. */
function* readLists(tools: DatabaseTools, { name }: ComparedMachine): Script {
  const { findings, note } = tools;
  const place = placeFinder(tools.open("machine"));
  const list = tools.open("machine");
  list.seekWithin(DPKG.diversions);
  let [bytes, unread, listed, entries] = [0, 0, "", 0];
  let why: string | undefined;
  for (; list.row !== undefined && list.row.key < behindSubtree(DPKG.info); list.advance()) {
    const { row } = list;
    if (++entries % 1000 === 0) yield { ask: "progress", name, entries: 1000 };
    if (row.type !== EntryType.file) continue;
    let reader: ReturnType<typeof ownedReader>;
    if (row.key === DPKG.diversions)
      reader = diversionReader((key) => findings.addOwned(place(key), "(diverted)"));
    else {
      const base = baseName(row.key);
      const owner = isBelow(DPKG.info, row.key) ? listNameOf(base) : undefined;
      const whole = `${owner?.name}:${owner?.architecture}`;
      // In path order a package's list comes just before its digests, which name no more files.
      if (owner === undefined || (owner.kind === "md5sums" && whole === listed)) continue;
      if (!findings.isInstalled("machine", owner.name)) continue;
      if (owner.kind === "list") listed = whole;
      reader = ownedReader(owner.kind, (key) => findings.addOwned(place(key), owner.name));
    }
    bytes += row.size;
    const failed =
      bytes > MAX_LIST_BYTES
        ? "there is more than a package database holds"
        : yield* readFile(tools, row, (piece) => reader.push(piece));
    reader.end();
    if (failed === undefined) continue;
    why ??= `${displayPath(keyToPath(row.key))}: ${failed}`;
    unread++;
  }
  if (why !== undefined) note(`${unread} lists of files cannot be read, such as ${why}`);
}

/**
 * Where the guest really has the files of its packages: since /usr was merged, /bin and others are links, and lists go
 * on calling files by the old names.
 */
function placeFinder(list: OverlayCursor): (key: string) => string {
  const links = new Map<string, string>();
  if (list.row?.key === "") list.advance();
  while (list.row !== undefined) {
    const { key, type, target } = list.row;
    const top = key.split("\0", 1)[0]!;
    const match = /^\/?(usr\/[a-z0-9]+)\/?$/.exec(target);
    if (type === EntryType.symlink && match !== null) links.set(key, match[1]!.replace("/", "\0"));
    list.seek(behindSubtree(top));
  }
  return (key) => {
    const cut = key.indexOf("\0");
    const target = cut < 0 ? undefined : links.get(key.slice(0, cut));
    return target === undefined ? key : target + key.slice(cut);
  };
}
