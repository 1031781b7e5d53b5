/** `rebase`: runs take over what they need of the runs below them, so that those may be purged. */
import { refreshRecords } from "../../retention/records.js";
import { callStorage, catalogJobs } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";
import { parseIdList } from "../grammar.js";
import { follow } from "../retention/stream.js";

export const rebase: Command = {
  name: "rebase",
  summary: "Give runs file lists that need no other run",
  usage: ["rebase jobid=1,2,5-7"],
  keywords: ["jobid="],
  async run(context) {
    await context.useCatalog();
    const text = context.args.value("jobid") ?? (await context.ask("Enter JobId(s), comma separated: "));
    const ids = parseIdList(text);
    if (ids === undefined) return void (await context.fail(`Expected a positive integer, got: ${text}`));
    const jobs = await catalogJobs(context, { jobIds: ids });
    for (const id of ids) {
      if (!jobs.some((job) => job.jobId === id)) await context.say(`JobId=${id} is not in the catalog.`);
    }
    const byStorage = new Map<string, number[]>();
    for (const job of jobs) byStorage.set(job.storage, [...(byStorage.get(job.storage) ?? []), job.jobId]);
    if (byStorage.size === 0) return void (await context.fail("Nothing was rebased."));
    for (const [storage, jobIds] of byStorage) await rebaseAt(context, storage, jobIds);
  },
};

async function rebaseAt(context: CommandContext, storage: string, jobIds: readonly number[]): Promise<void> {
  const result = await follow(context, storage, { method: "Rebase", request: { jobIds: [...jobIds] } });
  if (result?.ok !== true) {
    const why = result === undefined ? "the storage daemon ended without a result" : result.reason;
    return void (await context.fail(`Rebase failed: ${why}`));
  }
  await refreshRecords(context.director.db.jobs, await callStorage(context, storage), jobIds);
  for (const jobId of jobIds) context.append("jobIds", jobId);
  const many = jobIds.length === 1 ? `JobId ${jobIds[0]} needs` : `JobIds ${jobIds.join(",")} need`;
  await context.say(`${many} no other Job any more.`);
}
