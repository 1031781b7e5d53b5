/** `basalt catalog copy`: consistent copies of the daemons' databases, for a job that backs them up. */

import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { copyDatabase } from "../common/database-copy.js";
import { BackupError, EXIT } from "../common/errors.js";
import { formatBytes } from "../common/units.js";

export interface CatalogCopyOptions {
  /** Configuration files; at least one. */
  readonly storaged?: string;
  readonly director?: string;
  /** Made if missing, for its owner alone. */
  readonly directory: string;
}

/**
 * Copies `storaged.db` and `director.db` into the directory, whether or not the daemons run.
 * @throws BackupError USAGE, DATABASE_COPY_FAILED, and of the configuration
 */
export async function runCatalogCopy(
  options: CatalogCopyOptions,
  print: (line: string) => void,
): Promise<number> {
  const { storaged, director, directory } = options;
  if (storaged === undefined && director === undefined)
    throw new BackupError(
      "USAGE",
      "name the configuration of a storage daemon (--storaged) or of the director (--director)",
    );
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if ((statSync(directory).mode & 0o077) !== 0) print(`note: others may look into ${directory}`);
  const copy = (from: string, name: string): void => {
    const bytes = copyDatabase(from, join(directory, name));
    print(`${from} copied to ${join(directory, name)} (${formatBytes(bytes)})`);
  };
  if (storaged !== undefined) {
    const { loadStoragedConfig } = await import("../storaged/config.js");
    copy(loadStoragedConfig(storaged).catalogFile, "storaged.db");
  }
  if (director !== undefined) {
    const { loadDirectorConfig } = await import("../director/config/load.js");
    const { databaseFile } = await import("../director/db/database.js");
    copy(databaseFile(loadDirectorConfig(director).director.workingDirectory), "director.db");
  }
  return EXIT.ok;
}
