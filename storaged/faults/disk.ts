/**
 * What a machine keeps over a power cut: volume files in a MemoryStore, and the catalog's two files. An image is a
 * copy of both as some moment would leave them; disks are made from images.
 */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryStore, type MemoryStoreOptions, type TearChoice } from "../store/memory-store.js";
import { commitsOf, readLog } from "./near-catalog.js";

/** Directory of all volumes. */
export const VOLUMES = "/volumes";

/** Content of files by path. */
export type Files = ReadonlyMap<string, Buffer>;

export interface Image {
  /** What was done to the un-synced bytes, for messages. */
  name: string;
  volumes: Files;
  catalog: Buffer;
  log: Buffer;
}

const scratch: string[] = [];

/** A directory in memory where the machine has one: nothing here needs to outlive the process. */
export function scratchDirectory(): string {
  const top = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const directory = mkdtempSync(join(top, "basalt-faults-"));
  scratch.push(directory);
  return directory;
}

process.on("exit", () => {
  for (const directory of scratch) rmSync(directory, { recursive: true, force: true });
});

export class Disk {
  readonly directory = scratchDirectory();
  readonly store: MemoryStore;

  constructor(image?: Image, options: MemoryStoreOptions = {}) {
    this.store = new MemoryStore(options);
    mkdirSync(join(this.directory, "working"));
    if (image === undefined) return;
    for (const [path, content] of image.volumes) this.store.place(path, content);
    if (image.catalog.length > 0) writeFileSync(this.catalogFile, image.catalog);
    if (image.log.length > 0) writeFileSync(`${this.catalogFile}-wal`, image.log);
  }

  get catalogFile(): string {
    return join(this.directory, "catalog.db");
  }

  get workingDirectory(): string {
    return join(this.directory, "working");
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function filesOf(store: MemoryStore): Map<string, Buffer> {
  return new Map(store.paths().map((path) => [path, store.contents(path)]));
}

/** The disk as it is, nothing lost: what the end of the process alone leaves. */
export function wholeImage(disk: Disk): Image {
  const { catalogFile, store } = disk;
  return {
    name: "nothing lost",
    volumes: filesOf(store),
    catalog: read(catalogFile),
    log: readLog(`${catalogFile}-wal`),
  };
}

function read(file: string): Buffer {
  return existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
}

/** All images that a power cut, or the end of the process, at one moment can leave. */
export class Moment {
  readonly #volumes: { name: string; volumes: Files }[];
  readonly #catalog: Buffer;
  readonly #log: Buffer;
  readonly #durableLog: number;

  /** Copies everything now. `lastAppend`: bytes of the newest append, which is torn in its middle. */
  constructor(disk: Disk, durableLog: number, lastAppend: number) {
    const { store } = disk;
    const tears: [string, TearChoice][] = [
      ["volumes keep what was synced", (_path, durable) => durable],
      ["volumes keep all", (_path, _durable, current) => current],
      ["volumes keep half", (_path, durable, current) => Math.floor((durable + current) / 2)],
      [
        "the last append is torn",
        (_path, durable, current) => Math.max(durable, current - Math.ceil(lastAppend / 2)),
      ],
    ];
    this.#volumes = tears.map(([name, tear]) => ({ name, volumes: filesOf(store.crash({}, tear)) }));
    // Names that were not made durable may be there all the same.
    this.#volumes.push({ name: "the process ended", volumes: filesOf(store) });
    this.#catalog = read(disk.catalogFile);
    this.#log = readLog(`${disk.catalogFile}-wal`);
    this.#durableLog = Math.min(durableLog, this.#log.length);
  }

  /** The distinct ones of a choice of all pairs. */
  images(): Image[] {
    const [synced, all, half, torn, ended] = this.#volumes;
    const [least, most, some, broken] = this.#logs();
    const pairs = [
      [synced!, least!],
      [synced!, most!],
      [all!, least!],
      [half!, broken!],
      [torn!, some!],
      [ended!, most!],
    ] as const;
    const seen = new Set<string>();
    const images: Image[] = [];
    for (const [{ name, volumes }, log] of pairs) {
      const sizes = [...volumes].map(([path, content]) => `${path}:${content.length}`);
      const identity = `${sizes.join()}|${log.bytes.length}`;
      if (seen.has(identity)) continue;
      seen.add(identity);
      images.push({ name: `${name}, ${log.name}`, volumes, catalog: this.#catalog, log: log.bytes });
    }
    return images;
  }

  #logs(): { name: string; bytes: Buffer }[] {
    const log = this.#log;
    const durable = this.#durableLog;
    const { ends, step } = commitsOf(log);
    const later = ends.filter((end) => end > durable);
    const middle = later[Math.floor((later.length - 1) / 2)] ?? durable;
    const inFrame = later.length === 0 ? durable : Math.min(log.length, durable + Math.floor(step * 1.5));
    return [
      { name: "the log keeps what was synced", bytes: log.subarray(0, durable) },
      { name: "the log keeps all", bytes: log },
      { name: "the log keeps some commits", bytes: log.subarray(0, middle) },
      { name: "the log is torn in a frame", bytes: log.subarray(0, inFrame) },
    ];
  }
}
