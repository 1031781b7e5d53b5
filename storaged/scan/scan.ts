/**
 * Makes a catalog from volume files alone (docs/disaster-recovery.md). The volumes are read once, in any order, and are
 * never changed; the catalog is built aside and takes its place in one step.
 */
import { chownSync, existsSync, rmSync, statSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { basename, dirname } from "node:path";
import Database from "better-sqlite3";
import { BackupError, describeError } from "../../common/errors.js";
import { type Db, openForWriting } from "../catalog/schema.js";
import { type DeviceResource, isScripted } from "../device-config.js";
import type { Store } from "../store/store.js";
import type { VolumeLabel } from "../volume/label.js";
import { VolumeReader } from "../volume/reader.js";
import { decide } from "./decide.js";
import { loadCatalog } from "./load.js";
import { isGoodFrame, readVolume } from "./read-volume.js";
import { FRAME_DAMAGED, FRAME_GOOD, FRAME_UNSEEN, Scratch, ScratchWriter, sqliteFailure } from "./scratch.js";
import type { ScanOptions, ScanResult } from "./types.js";

export interface ScanCatalogOptions extends ScanOptions {
  catalogFile: string;
  /** Add to a catalog that knows jobs already what it does not know. */
  add: boolean;
  /** Build the catalog, and throw it away. */
  dry: boolean;
  /** Puts the new catalog in its place. */
  swap: Store;
}

const EMPTY: ScanResult = {
  volumes: 0,
  jobs: 0,
  present: 0,
  ghosts: 0,
  failed: 0,
  leftOut: 0,
  frames: 0,
  damagedFiles: 0,
  problems: 0,
};

/**
 * Scans into `catalogFile`; nobody may have it open. It stays as it was when anything throws.
 * @throws BackupError CATALOG_NOT_EMPTY, SCAN_NOTHING, CATALOG_UNUSABLE, STORE_ codes
 */
export async function scanCatalog(options: ScanCatalogOptions): Promise<ScanResult> {
  const { catalogFile, add, dry, swap } = options;
  const building = `${catalogFile}.scan`;
  let scratch: Scratch | undefined;
  remove(building);
  try {
    scratch = new Scratch(`${catalogFile}.scan-work`);
    if (existsSync(catalogFile)) copyCatalog(catalogFile, building, add);
    const result = await scanInto(scratch, building, options);
    if (!dry) await takePlace(swap, building, catalogFile);
    return result;
  } catch (error) {
    throw sqliteFailure(building, error);
  } finally {
    scratch?.close();
    remove(building);
  }
}

/** @throws BackupError CATALOG_NOT_EMPTY, CATALOG_UNUSABLE */
function copyCatalog(from: string, to: string, add: boolean): void {
  const db = openAsItIs(from);
  try {
    const query = "SELECT count(*) FROM job WHERE status IN ('T', 'W')";
    const jobs = hasJobs(db) ? (db.prepare<[], number>(query).pluck().get() ?? 0) : 0;
    if (jobs > 0 && !add) {
      const text = `the catalog ${from} knows ${jobs} jobs: move it away first, or add to it with --add`;
      throw new BackupError("CATALOG_NOT_EMPTY", text);
    }
    db.prepare("VACUUM INTO ?").run(to);
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    throw new BackupError("CATALOG_UNUSABLE", `cannot read the catalog ${from}: move it away first`, {
      cause,
    });
  } finally {
    db.close();
  }
}

/** Without bringing it to the newest schema: a scan that fails leaves it as it is. */
function openAsItIs(file: string): Db {
  try {
    return new Database(file, { timeout: 0 });
  } catch (cause) {
    throw new BackupError("CATALOG_UNUSABLE", `cannot open the catalog ${file}`, { cause });
  }
}

/** False for a file that a daemon made and did not come to fill. */
function hasJobs(db: Db): boolean {
  return db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'job'").get() !== undefined;
}

async function scanInto(scratch: Scratch, file: string, options: ScanCatalogOptions): Promise<ScanResult> {
  const result = { ...EMPTY };
  const volumes = await register(scratch, options, result);
  result.volumes = volumes.length;
  if (volumes.length === 0)
    throw new BackupError("SCAN_NOTHING", "none of the files can be used: nothing was changed");
  const writer = new ScratchWriter(scratch);
  const total = volumes.reduce((sum, { bytes }) => sum + bytes, 0);
  let read = 0;
  for (const volume of volumes) {
    const problems = await readVolume(writer, options, volume, (bytes) => {
      read += bytes;
      options.progress(volume.path, read, total);
    });
    result.problems += problems;
  }
  scratch.index();
  await lookAgain(scratch.db, options);
  decide(scratch.db);
  await tellLostRecords(scratch.db, options);
  const db = openForWriting(file);
  try {
    // Nobody needs it before it takes its place.
    db.pragma("synchronous = OFF");
    db.pragma("cache_size = -32000");
    checkUuids(scratch.db, db);
    await loadCatalog(scratch.db, db, options, result);
    db.pragma("wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
  return result;
}

interface RegisteredVolume {
  id: number;
  path: string;
  bytes: number;
}

/** Looks at all labels; a file that cannot be used is told and passed over. */
async function register(
  { db }: Scratch,
  options: ScanCatalogOptions,
  result: ScanResult,
): Promise<RegisteredVolume[]> {
  const insert =
    db.prepare(`INSERT INTO volume(path, name, uuid, pool, media_type, device, created_ms, bytes, label)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const same = db
    .prepare<[string, string], string>("SELECT path FROM volume WHERE name = ? OR uuid = ?")
    .pluck();
  const found: RegisteredVolume[] = [];
  const devices = [...options.devices];
  for (const path of options.files) {
    try {
      const { label, bytes } = await readLabel(options.store, path);
      const device = await deviceOf(devices, path, label);
      const other = same.get(label.volume, label.volumeUuid);
      if (other !== undefined) {
        throw new BackupError("SCAN_TWICE", `${path}: Volume "${label.volume}" was given already: ${other}`);
      }
      const { volume, volumeUuid, pool, mediaType, createdMs } = label;
      const facts = [
        path,
        volume,
        volumeUuid,
        pool,
        mediaType,
        device,
        createdMs,
        bytes,
        JSON.stringify(label),
      ];
      found.push({ id: Number(insert.run(...facts).lastInsertRowid), path, bytes });
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      result.problems++;
      await options.complain(describeError(error));
    }
  }
  return found;
}

async function readLabel(store: Store, path: string): Promise<{ label: VolumeLabel; bytes: number }> {
  const reader = await VolumeReader.open(store, path);
  try {
    return { label: await reader.readLabel(), bytes: reader.size };
  } finally {
    await reader.close();
  }
}

/** Name of the device in whose directory the volume lies. @throws BackupError SCAN_NO_DEVICE */
async function deviceOf(
  devices: readonly DeviceResource[],
  path: string,
  label: VolumeLabel,
): Promise<string> {
  const here = await real(dirname(path));
  let other = "";
  for (const device of devices) {
    const { name, archiveDevice, mediaType, drive } = device;
    // Files in the slots of a changer lie beside its drives, or where its command says, under names of its own.
    const places = isScripted(device) ? [dirname(archiveDevice), dirname(drive?.changerDevice ?? "")] : [];
    const isSlot = (await Promise.all(places.map(real))).includes(here);
    if (isSlot && mediaType === label.mediaType) return name;
    if ((await real(archiveDevice)) !== here) continue;
    other = `Device "${name}" has MediaType "${mediaType}", the volume "${label.mediaType}"`;
    if (mediaType !== label.mediaType) continue;
    if (basename(path) === label.volume) return name;
    other = `it is Volume "${label.volume}": the file must have that name`;
  }
  const why = other === "" ? "it is not in the directory of any Device of the configuration" : other;
  throw new BackupError("SCAN_NO_DEVICE", `${path} cannot be used: ${why}`);
}

async function real(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

/** Frames whose job was not known when they were met: another place may have told its number since. */
async function lookAgain(db: Db, options: ScanOptions): Promise<void> {
  type Row = { volume: number; offset: number; path: string; bytes: number; job_id: number };
  const next = db.prepare<
    [number, number],
    Row
  >(`SELECT f.volume, f.offset, v.path, f.bytes, j.job_id FROM frame f JOIN volume v ON v.id = f.volume
      JOIN job j ON j.id = f.job WHERE f.state = ${FRAME_UNSEEN} AND j.job_id > 0
      AND (f.volume, f.offset) > (?, ?) ORDER BY f.volume, f.offset LIMIT 1`);
  const update = db.prepare("UPDATE frame SET state = ? WHERE volume = ? AND offset = ?");
  for (let row = next.get(0, 0); row !== undefined; row = next.get(row.volume, row.offset)) {
    options.signal?.throwIfAborted();
    const reader = await VolumeReader.open(options.store, row.path);
    try {
      const { index, frame } = await reader.readFrameAt(row.offset, row.bytes);
      const good = await isGoodFrame(options, index, frame, row.job_id);
      update.run(good ? FRAME_GOOD : FRAME_DAMAGED, row.volume, row.offset);
    } catch (error) {
      if (!(error instanceof BackupError)) throw error;
      update.run(FRAME_DAMAGED, row.volume, row.offset);
    } finally {
      await reader.close();
    }
  }
}

/** Says which records behind damage were not believed. */
async function tellLostRecords(db: Db, options: ScanOptions): Promise<void> {
  const rows = db
    .prepare<[], { path: string; records: number }>(`SELECT v.path, count(*) AS records FROM
      (SELECT volume, segment FROM ending UNION ALL SELECT volume, segment FROM deleted) r
      JOIN segment s ON s.volume = r.volume AND s.segment = r.segment AND s.trusted = 0
      JOIN volume v ON v.id = r.volume GROUP BY v.id`)
    .all();
  for (const { path, records } of rows) {
    await options.complain(`${path}: ${records} records of jobs between two damaged places are not believed`);
  }
}

/** A volume in the catalog must be the one that was read. @throws BackupError VOLUME_MISLABELED */
function checkUuids(scratch: Db, db: Db): void {
  const known = db.prepare<[string], string>("SELECT uuid FROM volume WHERE name = ?").pluck();
  type Row = { name: string; uuid: string; path: string };
  for (const { name, uuid, path } of scratch.prepare<[], Row>("SELECT name, uuid, path FROM volume").all()) {
    const there = known.get(name);
    if (there === undefined || there === "" || there === uuid) continue;
    throw new BackupError(
      "VOLUME_MISLABELED",
      `${path} is another Volume "${name}" than the one in the catalog: it was recycled or relabelled since. ` +
        "Move the catalog away and scan all volumes without --add",
    );
  }
}

/**
 * The new catalog in place of the old one, whose WAL went into its file when it was closed. One that is left over from
 * a catalog that is gone would be applied to the new one.
 */
async function takePlace(swap: Store, from: string, to: string): Promise<void> {
  const owner = statSync(dirname(to));
  if (process.getuid?.() === 0) chownSync(from, owner.uid, owner.gid);
  const file = await swap.open(from, "append");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  for (const suffix of ["-wal", "-shm"]) rmSync(`${to}${suffix}`, { force: true });
  // Gone for good before the new name counts: after a power cut a log that came back would be applied to it.
  await swap.syncDirectory(dirname(to));
  await swap.rename(from, to);
  await swap.syncDirectory(dirname(to));
}

function remove(file: string): void {
  for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(`${file}${suffix}`, { force: true });
}
