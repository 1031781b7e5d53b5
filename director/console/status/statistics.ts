/** Figures of the director by name. */
import { visible } from "../commands/list-jobs.js";
import type { CommandContext } from "../context.js";

/** Of what the console may see. */
export function statisticsOf(context: CommandContext): Record<string, number> {
  const { config, director, acl } = context;
  const live = director.queue.list().filter((job) => acl.allows("job", job.plan.job.name));
  const running = live.filter(({ state }) => state === "running").length;
  const { rss, heapUsed } = process.memoryUsage();
  const failed = visible(context, director.db.jobs.list({ ended: true, withErrors: true, days: 1 })).length;
  return {
    "bacula.jobs.all": config.jobs.size,
    "bacula.jobs.running": running,
    "bacula.jobs.waiting": live.length - running,
    "bacula.jobs.errors.day": failed,
    "bacula.clients.all": config.clients.size,
    "bacula.storages.all": config.storages.size,
    "bacula.pools.all": config.pools.size,
    "bacula.filesets.all": config.fileSets.size,
    "bacula.schedules.all": config.schedules.size,
    "bacula.dir.memory.heap": heapUsed,
    "bacula.dir.memory.rss": rss,
  };
}
