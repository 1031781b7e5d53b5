/** WriteBootstrap of a Job: after each backup a file says what a restore of it would read. */

import { appendFile, writeFile } from "node:fs/promises";
import { describeError } from "../../common/errors.js";
import { printBootstrap } from "../bootstrap/bootstrap.js";
import { replaceCodes } from "./codes.js";
import type { JobRun } from "./job-run.js";
import { need } from "./resources.js";
import { committedRun, runsOf } from "./take-over.js";

const TIMEOUT_MS = 60_000;

/** Writes the file anew for a Full, adds to it for other levels. What goes wrong is a warning of the job. */
export async function writeBootstrap(run: JobRun): Promise<void> {
  const template = run.plan.job.writeBootstrap;
  if (template === undefined) return;
  const file = replaceCodes(template, run.codes());
  try {
    const text = await bootstrapOf(run);
    const anew = run.live.level === "Full" || run.live.level === "Base" || run.live.level === "VirtualFull";
    if (anew) await writeFile(file, text, { mode: 0o640 });
    else await appendFile(file, text, { mode: 0o640 });
  } catch (error) {
    run.say("warning", `Could not write the bootstrap file ${file}: ${describeError(error)}`);
  }
}

async function bootstrapOf(run: JobRun): Promise<string> {
  const { jobId } = run.live;
  const storage = need(run.plan.storage, "Storage");
  const options = { timeoutMs: TIMEOUT_MS, signal: run.services.shutdown };
  const channel = await run.services.daemons.connectStoraged(storage, options);
  // One that was taken over has the UUID of an earlier attempt there.
  const job = committedRun(await runsOf(channel, run.live, options));
  if (job === undefined) throw new Error(`JobId ${jobId} is not in the catalog`);
  const { volSessionId: sessionId, volSessionTime: sessionTime } = run.storaged.result;
  const head = `# ${run.live.job} ${run.live.level}\n`;
  const fileIndex = job.files > 0 ? ([[1, job.files]] as const) : [];
  const facts = { jobId, storage: storage.name, sessionId, sessionTime, extents: job.extents, fileIndex };
  return head + printBootstrap([facts]);
}
