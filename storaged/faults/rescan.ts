/** A catalog made from volume files alone, and a daemon over it: nothing else of the old one is left. */

import assert from "node:assert/strict";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import { scanCatalog } from "../scan/scan.js";
import { FileStore } from "../store/file-store.js";
import { Disk, type Files } from "./disk.js";
import { DEVICE, nearVerifier } from "./near-daemon.js";
import { type Ledger, Play } from "./play.js";

/** A disk with copies of the files and a catalog that a scan made of them, and what the scan complained about. @throws SCAN_ codes */
export async function scannedDisk(volumes: Files): Promise<{ disk: Disk; complaints: string[] }> {
  const nothing = Buffer.alloc(0);
  const disk = new Disk({ name: "scanned", volumes, catalog: nothing, log: nothing });
  const complaints: string[] = [];
  try {
    await scanCatalog({
      ...{ catalogFile: disk.catalogFile, add: false, dry: false, swap: new FileStore(), quick: false },
      ...{ store: disk.store, verifier: nearVerifier, files: disk.store.paths(), devices: [DEVICE] },
      complain: async (line) => void complaints.push(line),
      progress: () => undefined,
    });
    return { disk, complaints };
  } catch (error) {
    disk.remove();
    throw error;
  }
}

/**
 * Scans copies of the files and checks what comes of it against the ledger: kept jobs are there and restore, gone
 * ones are not. @throws AssertionError
 */
export async function verifyRescan(
  volumes: Files,
  ledger: Ledger,
  pools?: readonly PoolDefinition[],
): Promise<void> {
  let scanned: { disk: Disk; complaints: string[] };
  try {
    scanned = await scannedDisk(volumes);
  } catch (error) {
    // Nothing to scan is nothing to keep.
    if ((error as { code?: string }).code !== "SCAN_NOTHING" || ledger.kept().length > 0) throw error;
    return;
  }
  const { disk, complaints } = scanned;
  const play = new Play({ pools, disk, ledger });
  try {
    await play.start();
    await play.verify();
  } catch (error) {
    const said = complaints.length === 0 ? "" : `; the scan said: ${complaints.join("; ")}`;
    const text = `after a scan of the volumes: ${(error as Error).message}${said}`;
    throw new assert.AssertionError({ message: text });
  } finally {
    await play.end();
  }
}
