/** The end of a job that failed: nothing of it counts, and what it left behind is removed. */

import { BackupError, describeError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import { nowMs } from "../../common/time.js";
import type { LocalJob } from "../catalog/types.js";
import type { JobVolumes } from "./job-volumes.js";
import type { Reporter } from "./reporter.js";
import type { SessionDeps } from "./session-deps.js";

export interface FailedJob {
  /** Undefined: it never began. */
  job: LocalJob | undefined;
  name: string;
  /** An end record may lie on a volume. */
  ending: boolean;
  canceled: boolean;
  volumes: JobVolumes | undefined;
  reporter: Reporter;
}

type Deps = Pick<SessionDeps, "catalog" | "log" | "settle">;

/** Why it failed, in one line. Never rejects. */
export async function failJob(deps: Deps, failed: FailedJob, error: unknown): Promise<string> {
  const { catalog, log } = deps;
  const { job, name, ending, canceled, volumes } = failed;
  const garbled = error instanceof GarbledInput;
  const reason = garbled ? `the client sent garbled data: ${error.message}` : describeError(error);
  if (!(error instanceof BackupError) && !garbled) log.error("job failed", { err: error });
  try {
    if (job !== undefined) {
      await catalog.writer.fail(job, canceled ? "A" : "E", reason, nowMs());
      while (!(await catalog.writer.clean(job))) await new Promise(setImmediate);
    }
  } catch (cleaning) {
    // It stays marked as dirty: nobody sees it, and the next start cleans it.
    log.warn("a failed job could not be cleaned up yet", { job: name, err: cleaning });
  }
  await volumes?.release(true);
  if (job !== undefined && ending) await settle(deps, failed, job);
  return reason;
}

async function settle({ settle, log }: Deps, { name, reporter }: FailedJob, job: LocalJob): Promise<void> {
  try {
    for (const text of await settle(job)) await reporter.message("warning", text);
  } catch (error) {
    // The next start does it.
    log.warn("the end record of a failed job could not be taken back yet", { job: name, err: error });
  }
}
