/** What is mailed about a job goes when the job has said all. */

import type { MessageCenter } from "../messages/center.js";
import type { LiveJob } from "./live-job.js";

/** Carries a job through `work`; its mails are made of everything that was said until that ends. */
export async function mailed(
  messages: MessageCenter,
  live: LiveJob,
  work: () => Promise<void>,
): Promise<void> {
  messages.beginJob(live.jobId);
  try {
    await work();
  } finally {
    const { jobId, plan } = live;
    messages.endJob({ jobId, name: plan.job.name, messages: plan.messages });
  }
}
