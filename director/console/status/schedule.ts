/** `status schedule`: runs that the schedules will start. */
import type { CommandContext } from "../context.js";
import { scheduledLines } from "./director.js";

const DEFAULT_DAYS = 10;

export async function scheduleStatus(context: CommandContext): Promise<void> {
  const { args, acl } = context;
  const days = Math.min(366, Math.max(1, Number(args.value("days") ?? DEFAULT_DAYS) || DEFAULT_DAYS));
  const job = args.value("job", "jobname");
  const schedule = args.value("schedule");
  const limit = Number(args.value("limit") ?? "0") || 100;
  const runs = context.director
    .upcoming(days)
    .filter((run) => acl.allows("job", run.job) && acl.allows("schedule", run.schedule))
    .filter(
      (run) =>
        (job === undefined || run.job === job) && (schedule === undefined || run.schedule === schedule),
    )
    .slice(0, limit);
  context.data.scheduled = runs.map((run) => ({ ...run }));
  await context.print(
    `Scheduled Jobs:\n${runs.length > 0 ? scheduledLines(runs) : "No Scheduled Jobs.\n"}====\n`,
  );
}
