/** Directories for tests, with paths of any length and names of any bytes. Not used by the daemon. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { EntryType } from "../../common/format/row.js";
import { removeDirectoryAt, unlinkAt } from "../../common/sys/files.js";
import { DirectoryHandle, newStat } from "./stat.js";

/** A new empty directory. */
export function testDirectory(purpose: string): string {
  return mkdtempSync(`${tmpdir()}/basalt-${purpose}-`);
}

/** Removes a tree; Node's own rmSync fails on paths beyond 4,096 bytes. */
export function removeTree(path: string): void {
  const parent = DirectoryHandle.open(undefined, path.slice(0, path.lastIndexOf("/")));
  removeEntry(parent, path.slice(path.lastIndexOf("/") + 1));
  parent.close();
}

function removeEntry(parent: DirectoryHandle, name: string): void {
  const st = newStat();
  parent.stat(name, st);
  if (st.type !== EntryType.directory) {
    unlinkAt(parent.fd, name);
    return;
  }
  const dir = DirectoryHandle.open(parent, name);
  for (const child of dir.names()) removeEntry(dir, child);
  dir.close();
  removeDirectoryAt(parent.fd, name);
}
