/**
 * Runs that schedules call for. They are recorded in one transaction with the note that they were due: a director that is
 * killed at any point has either queued them all or will find them missed.
 */

import { describeError } from "../../common/errors.js";
import type { DirectorDb } from "../db/database.js";
import type { LiveJob } from "../job/live-job.js";
import type { JobId, JobPlan, RunRequest } from "../job/request.js";
import type { MessageCenter } from "../messages/center.js";

export interface DueRunsOptions {
  db: DirectorDb;
  messages: Pick<MessageCenter, "daemon">;
  /** Settles a run. @throws BackupError NOT_FOUND, DISABLED */
  plan: (request: RunRequest) => JobPlan;
  /** Records a run as waiting. */
  record: (plan: JobPlan) => LiveJob;
  /** Queues a recorded run. */
  queue: (live: LiveJob) => void;
  /** Queues a run as soon as JobIds can be handed out. */
  later: (request: RunRequest) => Promise<JobId>;
}

/**
 * Queues all of them; one that cannot be run is told as a message of the daemon. `noted` writes the note.
 * @throws what the database throws: then nothing is queued
 */
export function queueDue(
  { db, messages, plan, record, queue, later }: DueRunsOptions,
  requests: readonly RunRequest[],
  noted: () => void,
): void {
  const refused = ({ job }: RunRequest, error: unknown): void =>
    messages.daemon("error", `Scheduled job ${job} was not run: ${describeError(error)}`);
  if (!db.jobs.started) {
    noted();
    for (const request of requests) void later(request).catch((error: unknown) => refused(request, error));
    return;
  }
  const plans = requests.flatMap((request) => {
    try {
      return [plan(request)];
    } catch (error) {
      refused(request, error);
      return [];
    }
  });
  const recorded = db.transaction(() => {
    const lives = plans.map(record);
    noted();
    return lives;
  });
  for (const live of recorded) queue(live);
}
