/** `list jobmedia`: which files of a run lie on which volume. */
import type { JobExtent__Output } from "../../../proto/generated/basalt/v1/JobExtent.js";
import type { JobMediaPage__Output } from "../../../proto/generated/basalt/v1/JobMediaPage.js";
import { askAll, shownNumber } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { parseIdList } from "../grammar.js";
import { type JobMediaRow, jobMediaOf } from "../sql/job-media.js";
import { visible } from "./list-jobs.js";

const COLUMNS = ["JobId", "VolumeName", "FirstIndex", "LastIndex"];
const LONG_COLUMNS = [
  ...["JobMediaId", "JobId", "MediaId", "VolumeName", "FirstIndex", "LastIndex"],
  ...["StartFile", "EndFile", "StartBlock", "EndBlock"],
];

/** Of the runs of `jobid=`, or of all, by run and place. */
export async function listJobMedia(context: CommandContext, long: boolean): Promise<void> {
  const text = context.args.value("jobid");
  const jobIds = text === undefined ? [] : parseIdList(text);
  if (jobIds === undefined) return void (await context.fail(`Expected a positive integer, got: ${text}`));
  const rows = await askAll(context, async (caller, storage) => {
    const found: (JobMediaRow & { VolumeName: string })[] = [];
    let open: JobExtent__Output[] = [];
    const close = () => {
      found.push(...rowsOf(context, storage, open));
      open = [];
    };
    const request = { jobIds };
    const pages = caller.stream<JobMediaPage__Output>("Storaged", "ListJobMedia", request, {
      signal: context.signal,
    });
    for await (const { extents } of pages)
      for (const extent of extents) {
        if (open[0] !== undefined && open[0].jobId !== extent.jobId) close();
        open.push(extent);
      }
    close();
    return found;
  });
  rows.sort((a, b) => a.JobMediaId - b.JobMediaId);
  const limit = Number(context.args.value("limit") ?? "0");
  const shown = limit > 0 ? rows.slice(-limit) : rows;
  await context.records(
    "jobmedia",
    long ? LONG_COLUMNS : COLUMNS,
    shown.map((row) => ({ ...row })),
    long,
  );
}

/** Rows of one run that the console may see. */
function rowsOf(context: CommandContext, storage: string, extents: readonly JobExtent__Output[]) {
  const [first] = extents;
  if (first === undefined) return [];
  const record = context.director.db.jobs.get(first.jobId);
  const seen = record === undefined ? context.acl.unrestricted : visible(context, [record]).length > 0;
  if (!seen) return [];
  const names = new Map(
    extents.map((extent) => [shownNumber(context, storage, extent.mediaId), extent.volume]),
  );
  const places = extents.map((extent) => ({
    ...{ jobId: extent.jobId, mediaId: shownNumber(context, storage, extent.mediaId) },
    ...{ firstOffset: Number(extent.firstOffset), endOffset: Number(extent.endOffset), files: 0 },
  }));
  return jobMediaOf(first.jobId, places, record?.files ?? Number(first.files)).map((row) => ({
    ...row,
    VolumeName: names.get(row.MediaId) ?? "",
  }));
}
