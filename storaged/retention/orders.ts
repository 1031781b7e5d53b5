/** What can be asked of retention, what comes of it, and the words for that. */

import { nowMs } from "../../common/time.js";
import type { LocalJob, VolumeRecord } from "../catalog/types.js";
import type { Zone } from "./calendar.js";
import type { PlanJob } from "./closure.js";
import { type Decision, type PruneRule, spanText } from "./plan.js";

export interface PruneOrder {
  kind: "jobs" | "files" | "volume";
  rules: readonly PruneRule[];
  zone: Zone;
  /** "": any. */
  client: string;
  jobName: string;
  pool: string;
  volume: string;
  dry: boolean;
}

export interface PurgeOrder {
  jobIds: readonly number[];
  client: string;
  jobName: string;
  volume: string;
  rebase: boolean;
  dry: boolean;
}

export interface RetentionOutcome {
  decisions: Decision[];
  purgedVolumes: string[];
  messages: string[];
  refused: boolean;
  /** Jobs removed. */
  pruned: number;
}

export type Chosen = (job: PlanJob) => boolean;

export function chosenBy({ jobIds, client, jobName }: PurgeOrder, volume: VolumeRecord | undefined): Chosen {
  if (jobIds.length > 0) return (job) => jobIds.includes(job.jobId);
  if (volume !== undefined) return (job) => job.volumes.includes(volume.id);
  if (client === "" && jobName === "") return () => false;
  return (job) => (client === "" || job.client === client) && (jobName === "" || job.jobName === jobName);
}

/** Which runs a prune may take. */
export function consideredBy({ client, jobName, pool, kind }: PruneOrder): Chosen {
  return (job) =>
    (client === "" || job.client === client) &&
    (jobName === "" || job.jobName === jobName) &&
    (pool === "" || kind === "volume" || job.pool === pool);
}

export function goingOf(decisions: readonly Decision[]): LocalJob[] {
  return decisions.filter(({ action }) => action === "delete").map(({ job }) => job.id);
}

export function refusedFor(decision: Decision, busy: readonly { needed: number; jobId: number }[]): Decision {
  const by = busy.filter(({ needed }) => needed === decision.job.jobId).map(({ jobId }) => jobId);
  const reason =
    by.length === 0
      ? "nothing is done while others of these are needed"
      : `needed by JobId ${by[0]}, which is running: wait for its end`;
  return { job: decision.job, action: "refused", reason, neededBy: by };
}

export function isOver({ retention, lastWrittenMs }: VolumeRecord): boolean {
  return retention > 0 && lastWrittenMs > 0 && lastWrittenMs + retention * 1000 <= nowMs();
}

export function retentionText({ retention }: Pick<VolumeRecord, "retention">): string {
  return `Volume Retention = ${retention > 0 ? spanText(retention) : "for ever"}`;
}

/** Why a volume that was asked for by name is not pruned. */
export function keptText(volume: Pick<VolumeRecord, "name" | "retention" | "lastWrittenMs">): string {
  const { name, retention, lastWrittenMs } = volume;
  if (lastWrittenMs === 0) return `Volume "${name}" was never written.`;
  if (retention === 0) return `Volume "${name}" is kept: ${retentionText(volume)}.`;
  return `Volume "${name}" is younger than ${retentionText(volume)}.`;
}

export function reasonsOf(volumes: readonly VolumeRecord[]): Map<number, string> {
  return new Map(volumes.map((volume) => [volume.id, `Volume "${volume.name}", ${retentionText(volume)}`]));
}

/** `JobIds 3, 5 and 7 more`; "" for none. */
export function jobsText(jobIds: readonly number[]): string {
  if (jobIds.length === 0) return "";
  const shown = jobIds.slice(0, 10).join(", ");
  const more = jobIds.length > 10 ? ` and ${jobIds.length - 10} more` : "";
  return `JobId${jobIds.length === 1 ? "" : "s"} ${shown}${more}`;
}
