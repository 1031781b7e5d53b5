/** The `Run` directive of a Job: other jobs that start beside it, as soon as its level is known. */
import { describeError } from "../../common/errors.js";
import { replaceCodes } from "./codes.js";
import type { JobRun } from "./job-run.js";

/**
 * Starts a job for each line, which is what follows `run` at a console: `other level=%l since="%s"`. One that cannot be
 * started is a warning. A job that is such a clone itself starts none, nor does one that goes on or tries again.
 */
export async function startClones(run: JobRun): Promise<void> {
  const { clones = [] } = run.plan.job;
  const { cloned, resume, rescheduled = 0 } = run.plan.request;
  if (cloned === true || resume === true || rescheduled > 0) return;
  for (const clone of clones) {
    const line = `run ${replaceCodes(clone, run.codes())} cloned=yes yes`;
    try {
      const said = await run.services.runConsole(line);
      const queued = said.find((each) => /^Job queued\. JobId=\d+/.test(each));
      if (queued === undefined) run.say("warning", `Run "${clone}" started no job: ${said.join(" ")}`);
      else run.info(`${line}: ${queued}`);
    } catch (error) {
      run.say("warning", `Run "${clone}" started no job: ${describeError(error)}`);
    }
  }
}
