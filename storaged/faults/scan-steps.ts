/**
 * Tries every step of a scan: a crash in front of it, with what a power cut may leave of the catalog's directory, and
 * its failure, as well as that of SQLite's writes. Afterwards there is the old catalog or the whole new one, and a
 * second scan succeeds whatever the first one left.
 */

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { BackupError, codeOf } from "../../common/errors.js";
import { scanCatalog } from "../scan/scan.js";
import { FileStore } from "../store/file-store.js";
import type { OpenMode, Store, StoreFile } from "../store/store.js";
import { storeError } from "../store/store-error.js";
import { Disk, type Files } from "./disk.js";
import { assertClear, noting, type Tried } from "./enumerate.js";
import { DEVICE, nearVerifier } from "./near-daemon.js";
import { type Ledger, Play, type PlayOptions } from "./play.js";
import { failingWrites } from "./sqlite-writes.js";

/** What a scan begins with. */
export interface ScanTrial {
  volumes: Files;
  ledger: Ledger;
  pools: PlayOptions["pools"];
  /** Files of the catalog that is there, by what follows its name (`""`, `-wal`); none: there is none. */
  old: ReadonlyMap<string, Buffer>;
  /** JobIds that the old catalog knows. */
  known: readonly number[];
}

/** Names in the catalog's directory and what is in the files. */
type Directory = ReadonlyMap<string, Buffer>;

/** Crashes and failures looked at while SQLite writes. */
const WRITES_TRIED = 24;

export async function enumerateScan(trial: ScanTrial): Promise<Tried> {
  const tried: Tried = { steps: 0, images: 0, faults: 0, problems: [] };
  const { moments, writes } = await record(trial);
  tried.steps = moments.length;
  for (const [name, directory] of moments) {
    tried.images++;
    await noting(tried, `crash ${name}`, () => afterwards(trial, directory));
  }
  for (let step = 1; await failedStep(trial, step, tried); step++) tried.faults++;
  for (let index = 0; index < WRITES_TRIED; index++) {
    const write = Math.ceil(((index + 1) * writes) / WRITES_TRIED);
    await failedWrite(trial, write, index % 2 === 0 ? "SQLITE_FULL" : "SQLITE_IOERR", tried);
    tried.faults++;
  }
  return tried;
}

function diskOf({ volumes, old }: ScanTrial): Disk {
  const nothing = Buffer.alloc(0);
  const disk = new Disk({ name: "", volumes, catalog: nothing, log: nothing });
  for (const [suffix, content] of old) writeFileSync(`${disk.catalogFile}${suffix}`, content);
  return disk;
}

async function scan(disk: Disk, swap: Store, add: boolean): Promise<void> {
  await scanCatalog({
    ...{ catalogFile: disk.catalogFile, add, dry: false, swap, quick: false },
    ...{ store: disk.store, verifier: nearVerifier, files: disk.store.paths(), devices: [DEVICE] },
    complain: async () => undefined,
    progress: () => undefined,
  });
}

/** Runs the scan once; what a crash in front of each step, and between writes of SQLite, can leave. */
async function record(trial: ScanTrial): Promise<{ moments: [string, Directory][]; writes: number }> {
  const disk = diskOf(trial);
  const moments: [string, Directory][] = [];
  const swap = new StepStore(disk.directory);
  swap.before = (step) => {
    for (const [name, directory] of swap.images()) moments.push([`before ${step}: ${name}`, directory]);
  };
  const watched = failingWrites((number) => {
    if (number % 60 === 1) moments.push([`before write ${number} of SQLite`, filesIn(disk.directory)]);
    return undefined;
  });
  try {
    await scan(disk, swap, trial.old.size > 0);
  } finally {
    watched.restore();
  }
  for (const [name, directory] of swap.images()) moments.push([`at the end: ${name}`, directory]);
  disk.remove();
  return { moments, writes: watched.count() };
}

function filesIn(directory: string): Map<string, Buffer> {
  const names = readdirSync(directory).filter((name) => statSync(join(directory, name)).isFile());
  return new Map(names.map((name) => [name, readFileSync(join(directory, name))]));
}

/** The catalog is the old one or the new one; a second scan gives the new one; nothing else is left. */
async function afterwards(trial: ScanTrial, directory: Directory): Promise<void> {
  const disk = new Disk({ name: "", volumes: trial.volumes, catalog: Buffer.alloc(0), log: Buffer.alloc(0) });
  for (const [name, content] of directory) writeFileSync(join(disk.directory, name), content);
  await scannedAgain(trial, disk);
}

async function scannedAgain(trial: ScanTrial, disk: Disk): Promise<void> {
  const { pools, ledger, known } = trial;
  const found = knownJobs(disk.catalogFile);
  const whole = ledger.kept();
  const text = found?.join() ?? "none";
  assert.ok(
    text === whole.join() || text === (trial.old.size > 0 ? known.join() : "none"),
    `the catalog knows the jobs ${text}: neither the old ones (${known.join()}) nor all (${whole.join()})`,
  );
  const store = new FileStore();
  // Again as the first one; a whole catalog says that it is one.
  if (trial.old.size === 0 && found !== undefined) {
    await assert.rejects(scan(disk, store, false), (error) => codeOf(error) === "CATALOG_NOT_EMPTY");
  }
  await scan(disk, store, found !== undefined);
  const left = readdirSync(disk.directory).filter((name) => /\.scan/.test(name));
  assert.deepEqual(left, [], "the scan left files behind");
  const play = new Play({ pools, disk, ledger });
  try {
    await play.start();
    await play.verify();
  } finally {
    await play.end();
  }
}

/** JobIds in the catalog; undefined when there is no such file. @throws when it is damaged */
function knownJobs(file: string): number[] | undefined {
  if (!existsSync(file)) return undefined;
  const db = new Database(file);
  try {
    assert.equal(db.pragma("integrity_check", { simple: true }), "ok", "the catalog is damaged");
    const query = "SELECT job_id FROM job WHERE status IN ('T', 'W') ORDER BY job_id";
    return db.prepare<[], number>(query).pluck().all();
  } finally {
    db.close();
  }
}

/** False when there is no such step. */
async function failedStep(trial: ScanTrial, number: number, tried: Tried): Promise<boolean> {
  const disk = diskOf(trial);
  const swap = new StepStore(disk.directory);
  let at = 0;
  let what = "";
  swap.before = (step) => {
    if (++at !== number) return;
    what = `${step} fails`;
    const cause = Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
    throw storeError("use", disk.catalogFile, cause);
  };
  await noting(
    tried,
    () => what,
    async () => {
      const failed = await errorOf(scan(disk, swap, trial.old.size > 0));
      if (what !== "") assert.ok(failed !== undefined, "the failure was not told");
      await scannedAgain(trial, disk);
    },
  );
  return what !== "";
}

async function failedWrite(trial: ScanTrial, write: number, code: string, tried: Tried): Promise<void> {
  const disk = diskOf(trial);
  const failing = failingWrites((number) => (number === write ? code : undefined));
  await noting(tried, `write ${write} of SQLite fails with ${code}`, async () => {
    const failed = await errorOf(scan(disk, new FileStore(), trial.old.size > 0)).finally(failing.restore);
    assert.ok(failed !== undefined, "the failure was not told");
    const left = readdirSync(disk.directory).filter((name) => /\.scan/.test(name));
    assert.deepEqual(left, [], "the failed scan left files behind");
    await scannedAgain(trial, disk);
  });
}

/** The clear error that it ends with. */
async function errorOf(work: Promise<void>): Promise<BackupError | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    assertClear(error.message, "the scan's error");
    return error;
  }
}

/** A FileStore whose calls are steps, and which knows what a power cut may leave of one directory. */
class StepStore extends FileStore {
  before: (step: string) => void = () => undefined;
  readonly #directory: string;
  /** As it was when its names were last made durable. */
  #durable: Directory;
  readonly #synced = new Map<string, Buffer>();
  readonly #renamed = new Set<string>();

  constructor(directory: string) {
    super();
    this.#directory = directory;
    this.#durable = filesIn(directory);
  }

  /** With the names as they are or were, and with names that came back. */
  images(): [string, Directory][] {
    const now = filesIn(this.#directory);
    const synced = new Map(now);
    for (const [name, content] of now) {
      // What SQLite has in place it has synced itself.
      if (!name.endsWith(".scan") && !this.#renamed.has(name)) continue;
      synced.set(name, this.#synced.get(name) ?? content.subarray(0, content.length / 2));
    }
    const cameBack = new Map([...this.#durable, ...synced]);
    return [
      ["the process ended", now],
      ["no name is durable", this.#durable],
      ["only what was synced", synced],
      ["removed names came back", cameBack],
    ];
  }

  override async open(path: string, mode: OpenMode): Promise<StoreFile> {
    this.before(`open ${path}`);
    const file = await super.open(path, mode);
    const sync = file.sync.bind(file);
    file.sync = async () => {
      this.before(`sync ${path}`);
      await sync();
      this.#synced.set(nameIn(this.#directory, path), readFileSync(path));
    };
    return file;
  }

  override async rename(from: string, to: string): Promise<void> {
    this.before(`rename ${from}`);
    await super.rename(from, to);
    this.#renamed.add(nameIn(this.#directory, to));
    const content = this.#synced.get(nameIn(this.#directory, from));
    if (content !== undefined) this.#synced.set(nameIn(this.#directory, to), content);
    this.#synced.delete(nameIn(this.#directory, from));
  }

  override async syncDirectory(directory: string): Promise<void> {
    this.before(`sync directory ${directory}`);
    await super.syncDirectory(directory);
    this.#durable = filesIn(directory);
  }
}

function nameIn(directory: string, path: string): string {
  assert.equal(dirname(path), directory);
  return path.slice(directory.length + 1);
}
