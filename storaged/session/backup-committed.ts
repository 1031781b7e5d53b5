/** What follows the commit of a job: nothing here may fail it. */

import { describeError } from "../../common/errors.js";
import type { JobOrigin } from "./job-origin.js";
import type { JobVolumes } from "./job-volumes.js";
import type { Reporter } from "./reporter.js";
import type { SessionDeps } from "./session-deps.js";

export interface CommittedJob {
  name: string;
  volumes: JobVolumes;
  reporter: Reporter;
  origin?: JobOrigin | undefined;
}

type Deps = Pick<SessionDeps, "catalog" | "desk" | "log">;

/** Gives the volumes back. */
export async function afterCommit(deps: Deps, committed: CommittedJob): Promise<void> {
  const { log } = deps;
  const { name, reporter, origin } = committed;
  try {
    await giveBack(deps, committed);
  } catch (error) {
    log.warn("after the commit of a job", { job: name, err: error });
  }
  try {
    await origin?.committed?.(reporter);
  } catch (error) {
    await reporter.message("warning", describeError(error)).catch(() => undefined);
  }
}

/**
 * Removes the incomplete run that job `name` took the place of. It may have to wait for a prune: nobody waits for it, and
 * the next start does what this does not.
 */
export async function dropReplaced(
  { dropReplaced: drop, log }: Pick<SessionDeps, "dropReplaced" | "log">,
  name: string,
): Promise<void> {
  try {
    for (const text of (await drop?.()) ?? []) log.warn(text, { job: name });
  } catch (error) {
    log.warn("an incomplete job that was gone on with stays for now", { job: name, err: error });
  }
}

async function giveBack({ catalog, desk }: Deps, { volumes, reporter }: CommittedJob): Promise<void> {
  for (const { volume } of volumes.extents) {
    const record = (await catalog.reader.listVolumes("", "")).find(({ id }) => id === volume);
    if (record?.status === "Append") await desk.expireIfDue(record, 0, reporter);
  }
  await volumes.release(false);
  await reporter.setState("committed");
  while (!(await catalog.writer.dropOldStates())) await new Promise(setImmediate);
}
