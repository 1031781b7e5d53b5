/** What must hold in catalog and volumes when no job runs: nothing dangles, nothing is left over, no space is lost. */

import { basename } from "node:path";
import type { Db } from "../catalog/schema.js";
import { verifyVolume } from "../volume/cli-verify.js";
import { volumePath } from "../volume/label.js";
import { VolumeReader } from "../volume/reader.js";
import { VOLUMES } from "./disk.js";
import type { NearDaemon } from "./near-daemon.js";

/** Queries that must find nothing, with what a row of them means. */
const DANGLING: Readonly<Record<string, string>> = {
  "a job still runs": "SELECT id FROM job WHERE status = 'R'",
  "a failed job was not cleaned": "SELECT id FROM job WHERE dirty = 1",
  "a list of no good job":
    "SELECT DISTINCT job FROM list_block WHERE abs(job) NOT IN (SELECT id FROM job WHERE status IN ('T', 'W'))",
  "blocks beside the list in force": `SELECT DISTINCT b.job FROM list_block b JOIN job j ON j.id = abs(b.job)
    WHERE b.job <> j.id * (1 - 2 * (j.list_turn & 1))`,
  "a list that was to be cleared": "SELECT id FROM job WHERE list_old <> 0",
  "a list that is neither there nor dropped": "SELECT id FROM job WHERE list_state NOT IN (0, 2)",
  "blocks of a dropped list":
    "SELECT DISTINCT job FROM list_block WHERE abs(job) IN (SELECT id FROM job WHERE list_state <> 0)",
  "a list that is not whole": `SELECT id FROM job WHERE status IN ('T', 'W') AND list_state = 0
    AND rows <> (SELECT coalesce(sum(b.rows), 0) FROM list_in_force b WHERE b.job = job.id)`,
  "a state stream of no good job":
    "SELECT DISTINCT job FROM state_block WHERE job NOT IN (SELECT id FROM job WHERE status IN ('T', 'W'))",
  "a frame of a failed job":
    "SELECT id FROM frame WHERE job NOT IN (SELECT id FROM job WHERE status IN ('T', 'W', 'G', 'D'))",
  "a frame on no volume": "SELECT id FROM frame WHERE volume NOT IN (SELECT id FROM volume)",
  "a frame behind the end of its volume":
    "SELECT f.id FROM frame f JOIN volume v ON v.id = f.volume WHERE f.offset + f.bytes > v.bytes",
  "a chunk in no frame": "SELECT hex(digest) FROM chunk WHERE frame NOT IN (SELECT id FROM frame)",
  "a content of no job": "SELECT id FROM content WHERE job NOT IN (SELECT id FROM job)",
  "a content without identity": "SELECT id FROM content WHERE identity IS NULL",
  "parts of no content": "SELECT content FROM content_part WHERE content NOT IN (SELECT id FROM content)",
  "a parent that is not good": `SELECT p.job FROM job_parent p JOIN job j ON j.id = p.job JOIN job o ON o.id = p.parent
    WHERE j.status IN ('T', 'W') AND o.status NOT IN ('T', 'W')`,
  "a Base that is not good": `SELECT b.job FROM job_base b JOIN job j ON j.id = b.job JOIN job o ON o.id = b.base_job
    WHERE j.status IN ('T', 'W') AND o.status NOT IN ('T', 'W')`,
  "a pin of a job that has ended": "SELECT job FROM pin",
};

/** One line per fault. Tables that the schema has no more are passed over. */
export function catalogFaults(db: Db): string[] {
  const tables = new Set(
    db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')").pluck().all(),
  );
  const faults: string[] = [];
  const integrity = db.pragma("quick_check", { simple: true });
  if (integrity !== "ok") faults.push(`integrity: ${String(integrity)}`);
  for (const [what, query] of Object.entries(DANGLING)) {
    const named = [...query.matchAll(/\b(?:FROM|JOIN) (\w+)/g)].map((match) => match[1]!);
    if (!named.every((table) => tables.has(table))) continue;
    const found = db.prepare<[], unknown>(query).pluck().all();
    if (found.length > 0) faults.push(`${what}: ${found.join(" ")}`);
  }
  return faults;
}

/** Files and volumes belong together, and no file is longer than what its jobs need. */
export async function spaceFaults({ catalog, store, desk }: NearDaemon): Promise<string[]> {
  const faults: string[] = [];
  const known = new Set<string>();
  for (const volume of await catalog.reader.listVolumes("", "")) {
    const path = volumePath(VOLUMES, volume.name);
    known.add(path);
    const stat = await store.stat(path);
    if (stat === undefined) {
      faults.push(`${volume.name} has no file`);
      continue;
    }
    if (stat.sizeBytes !== volume.bytes) {
      faults.push(`${volume.name} has ${stat.sizeBytes} bytes, the catalog says ${volume.bytes}`);
    }
    const needed = await catalog.writer.neededBytes(volume.id);
    if (needed > 0 && stat.sizeBytes > needed) {
      faults.push(`${volume.name} has ${stat.sizeBytes} bytes and needs ${needed}`);
    }
  }
  const [pool] = await catalog.reader.listPools("");
  for (const path of store.paths()) {
    if (known.has(path)) continue;
    // What a labelling left behind that never came to its end is no volume: its name must be free.
    const name = basename(path);
    try {
      await desk.label(name, pool!.name, "", 0);
    } catch (error) {
      faults.push(`${path} belongs to no volume and stands in the way: ${String(error)}`);
    }
  }
  return faults;
}

/** `basalt volume verify` finds nothing wrong. */
export async function volumeFaults({ catalog, store }: NearDaemon): Promise<string[]> {
  const faults: string[] = [];
  for (const { name } of await catalog.reader.listVolumes("", "")) {
    const path = volumePath(VOLUMES, name);
    if ((await store.stat(path)) === undefined) continue;
    const said: string[] = [];
    const reader = await VolumeReader.open(store, path);
    try {
      const good = await verifyVolume(reader, async (text) => void said.push(text));
      if (!good) faults.push(said.join(""));
    } finally {
      await reader.close();
    }
  }
  return faults;
}
