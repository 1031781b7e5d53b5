/** Lists that are on their volumes only (File Retention), for a check that has found damage. */

import { codeOf, describeError } from "../../common/errors.js";
import type { Catalog } from "../catalog/catalog.js";
import type { LocalJob } from "../catalog/types.js";

/**
 * Brings back dropped lists of jobs that have to do with what is bad, so that lost files can be named: volumes with
 * frames that cannot be read, and jobs with such frames of their manifests. Gives what cannot be read any more, with
 * the JobIds that cannot be restored without it.
 * @throws the signal's reason
 */
export async function loadDropped(
  catalog: Catalog,
  bad: { volumes: number[]; jobs: LocalJob[] },
  signal: AbortSignal,
): Promise<{ text: string; jobIds: number[] }[]> {
  const lost: { text: string; jobIds: number[] }[] = [];
  const { reader } = catalog;
  const some = [...(await reader.droppedOn(bad.volumes)), ...(await reader.droppedLists(bad.jobs))];
  for (const job of new Set(some.map((list) => list.job))) {
    try {
      await catalog.withLists([job], async () => undefined, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (codeOf(error) !== "LIST_UNREADABLE") throw error;
      lost.push({ text: describeError(error), jobIds: await reader.jobsOver(job) });
    }
  }
  return lost;
}
