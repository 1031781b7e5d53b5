/** Originals whose migrated copies have taken their place: deleted as soon as nothing that runs needs them. */

import { codeOf, describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import type { Catalog } from "../catalog/catalog.js";
import type { JobDeleter } from "./delete.js";

/** Deletes what can be; the rest stays for the next time. Gives warnings. */
export async function deleteMigrated(
  catalog: Catalog,
  deleter: JobDeleter,
  log: Log,
): Promise<{ warnings: string[] }> {
  const warnings: string[] = [];
  for (const job of await catalog.writer.migratedAway()) {
    try {
      warnings.push(...(await deleter.delete([job])).warnings);
    } catch (error) {
      if (codeOf(error) !== "JOBS_NEEDED") warnings.push(describeError(error));
      else log.info(`a migrated job stays for now: ${describeError(error)}`);
    }
  }
  return { warnings };
}
