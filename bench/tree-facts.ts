/** Counts what the benchmark's trees hold, so that a table says what it was measured on. */
import { spawn } from "node:child_process";

/** What is in a tree. */
export interface TreeFacts {
  entries: number;
  /** Sizes of the regular files. */
  bytes: number;
  /** What they take on the disk; not known of a part of a tree. */
  allocatedBytes?: number;
}

/** Calls back for every entry: its path, the letter of its type, size, ctime as text, 512-byte blocks. */
async function eachEntry(
  tree: string,
  onEntry: (path: string, type: string, size: number, ctime: string, blocks: number) => void,
): Promise<void> {
  const child = spawn("find", [tree, "-mindepth", "1", "-printf", "%y\\t%s\\t%C@\\t%b\\t%P\\0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let rest = "";
  child.stdout.setEncoding("latin1");
  child.stdout.on("data", (text: string) => {
    const records = (rest + text).split("\0");
    rest = records.pop() ?? "";
    for (const record of records) {
      const [type = "", size = "", ctime = "", blocks = "", ...path] = record.split("\t");
      onEntry(path.join("\t"), type, Number(size), ctime, Number(blocks));
    }
  });
  const status = await new Promise((resolve) => child.once("close", resolve));
  if (status !== 0) throw new Error(`find ${tree} ended with ${String(status)}`);
}

/** Regular files of a tree with sizes, its number of entries, and the files' ctimes. */
export class TreeList {
  readonly sizes = new Map<string, number>();
  readonly ctimes = new Map<string, string>();
  entries = 0;
  allocatedBytes = 0;

  static async of(tree: string): Promise<TreeList> {
    const list = new TreeList();
    await eachEntry(tree, (path, type, size, ctime, blocks) => {
      list.entries++;
      list.allocatedBytes += blocks * 512;
      if (type !== "f") return;
      list.sizes.set(path, size);
      list.ctimes.set(path, ctime);
    });
    return list;
  }

  get bytes(): number {
    return this.#sum([...this.sizes.keys()]);
  }

  /** Files that the other list does not have, or has in another size. */
  notIn(other: TreeList): TreeFacts {
    return this.#facts((path) => other.sizes.get(path) !== this.sizes.get(path));
  }

  /** Files that are new or were changed since the other list was made of the same tree. */
  changedSince(other: TreeList): TreeFacts {
    return this.#facts((path) => other.ctimes.get(path) !== this.ctimes.get(path));
  }

  #facts(holds: (path: string) => boolean): TreeFacts {
    const paths = [...this.sizes.keys()].filter(holds);
    return { entries: paths.length, bytes: this.#sum(paths) };
  }

  #sum(paths: string[]): number {
    return paths.reduce((sum, path) => sum + (this.sizes.get(path) ?? 0), 0);
  }
}

/** `104,012 entries, 2.41 GB (2.71 GB on disk)` */
export function describeFacts({ entries, bytes, allocatedBytes }: TreeFacts, what = "entries"): string {
  const disk = allocatedBytes === undefined ? "" : ` (${sizeText(allocatedBytes)} on disk)`;
  return `${entries.toLocaleString("en")} ${what}, ${sizeText(bytes)}${disk}`;
}

function sizeText(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(0)} MB`;
}
