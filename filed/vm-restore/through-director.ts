/** The director's part of restoring a machine: which runs, which images, the Restore job itself. */
import { BackupError, describeError } from "../../common/errors.js";
import { renamingOf } from "../../common/relocation.js";
import { withCommas } from "../../common/units.js";
import { isOfImages, type RestorePlan, rootOf } from "./plan.js";
import type { Tools } from "./tool.js";

/** A console: commands, and what they give as data. */
export interface Director {
  /** @throws BackupError with the director's words */
  ask: (line: string) => Promise<Readonly<Record<string, unknown>>>;
  /** Abandons what ask() waits for. */
  interrupt: () => void;
}

export interface BackedUpImage {
  readonly name: string;
  readonly sizeBytes: number;
}

const MAX_IMAGES = 1000;

/** A value of a console's command. */
function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** The runs that make up the state after this one. @throws BackupError */
export async function chainOf(director: Director, jobId: number): Promise<number[]> {
  const { jobIds } = await director.ask(`.bvfs_get_jobids jobid=${jobId}`);
  const ids = Array.isArray(jobIds) ? jobIds.map(Number) : [];
  if (ids.length > 0) return ids;
  throw new BackupError("RESTORE_VM", `JobId ${jobId} is no backup that can be restored`);
}

/** Regular files of these runs that lie where the named run's own files lie, with their lengths. */
export async function imagesOf(director: Director, jobIds: readonly number[]): Promise<BackedUpImage[]> {
  const directories = new Set<string>();
  for (const jobId of jobIds) {
    const { files } = await director.ask(`list files jobid=${jobId} limit=${MAX_IMAGES}`);
    for (const name of Array.isArray(files) ? (files as string[]) : [])
      if (!name.endsWith("/")) directories.add(name.slice(0, name.lastIndexOf("/") + 1));
  }
  const found: BackedUpImage[] = [];
  for (const directory of [...directories].sort()) {
    const line = `.bvfs_lsfiles jobid=${jobIds.join(",")} path=${quoted(directory)} limit=${MAX_IMAGES}`;
    const { entries } = await director.ask(line);
    for (const entry of Array.isArray(entries) ? (entries as { Name: string; LStat: string }[]) : [])
      found.push({ name: `${directory}${entry.Name}`, sizeBytes: sizeOfLstat(entry.LStat) });
    if (found.length > MAX_IMAGES)
      throw new BackupError("RESTORE_VM", `JobId ${jobIds.at(-1)} is no job of images`);
  }
  return found;
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The eighth field of Bacula's LStat: digits of six bits, the highest first (developers' guide, "File Attributes"). */
function sizeOfLstat(lstat: string): number {
  return [...(lstat.split(" ")[7] ?? "")].reduce((sum, digit) => sum * 64 + BASE64.indexOf(digit), 0);
}

/** Fails where the backup does not hold the images of the plan, in the sizes of the plan. @throws BackupError RESTORE_VM */
export async function checkImages(director: Director, plan: RestorePlan): Promise<void> {
  const found = await imagesOf(director, await chainOf(director, plan.jobId));
  const problems = plan.disks.flatMap(({ image, sizeBytes }) => {
    const there = found.find(({ name }) => name === image);
    if (there === undefined) return [`there is no ${image} in it`];
    if (there.sizeBytes <= sizeBytes) return [];
    return [`${image} has ${withCommas(there.sizeBytes)} bytes, the plan's Size is ${withCommas(sizeBytes)}`];
  });
  if (problems.length > 0)
    throw new BackupError("RESTORE_VM", `JobId ${plan.jobId} does not fit the plan: ${problems.join("; ")}`);
}

/** The console's command that brings the content. `jobIds`: as chainOf. */
export function restoreCommand(plan: RestorePlan, jobIds: readonly number[], restoreJob?: string): string {
  const job = restoreJob === undefined ? [] : [`restorejob=${quoted(restoreJob)}`];
  const words = ["restore", `jobid=${jobIds.join(",")}`, `restoreclient=${quoted(plan.client)}`, ...job];
  words.push("replace=always");
  if (!isOfImages(plan)) return [...words, `where=${quoted(rootOf(plan))}`, "all done yes"].join(" ");
  // Only what is named: any other image of the run would go to its old place.
  for (const { image } of plan.disks) words.push(`file=${quoted(image!)}`);
  const renames = plan.disks.map(({ image, device }) => ({ from: image!, to: device }));
  return [...words, `regexwhere=${quoted(renamingOf(renames))}`, "yes"].join(" ");
}

/**
 * Runs the Restore job to its end; canceled, and waited for, when the signal comes. False: it ended with warnings, whose
 * lines were reported.
 * @throws BackupError RESTORE_VM when it failed, INTERRUPTED
 */
export async function restoreThrough(
  director: Director,
  plan: RestorePlan,
  { report, signal, restoreJob }: Tools & { restoreJob?: string | undefined },
): Promise<boolean> {
  const jobIds = await unlessAborted(director, signal, () => chainOf(director, plan.jobId));
  // This is not abandoned: afterwards it must be known whether a job runs.
  const { jobId } = await director.ask(restoreCommand(plan, jobIds, restoreJob));
  if (typeof jobId !== "number")
    throw new BackupError("RESTORE_VM", "no Restore job was started: nothing was chosen");
  report(`Restore job ${jobId} runs: the state of JobId(s) ${jobIds.join(",")}`);
  const status = await waitFor(director, jobId, signal);
  if (signal?.aborted === true)
    throw new BackupError("INTERRUPTED", `interrupted: JobId ${jobId} ended with status ${status}`);
  if (status === "T") return true;
  for (const line of await linesOf(director, jobId)) report(`  ${line}`);
  const what = `the Restore job ${jobId} ended with status ${status}: list joblog jobid=${jobId}`;
  if (status !== "W") throw new BackupError("RESTORE_VM", what);
  report(what);
  return false;
}

/** What is asked is abandoned when the signal comes. @throws BackupError INTERRUPTED */
async function unlessAborted<T>(
  director: Director,
  signal: AbortSignal | undefined,
  ask: () => Promise<T>,
): Promise<T> {
  const interrupted = new BackupError("INTERRUPTED", "interrupted");
  const isAborted = (): boolean => signal?.aborted === true;
  if (isAborted()) throw interrupted;
  const stop = (): void => director.interrupt();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await ask();
  } catch (error) {
    throw isAborted() ? interrupted : error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

async function waitFor(director: Director, jobId: number, signal?: AbortSignal): Promise<string> {
  try {
    return await unlessAborted(director, signal, () => statusOf(director, jobId));
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
  // Before anything is unmounted nobody may write there any more.
  await director.ask(`cancel jobid=${jobId} yes`).catch(() => undefined);
  return await statusOf(director, jobId);
}

/** The letter that a job ends with. */
async function statusOf(director: Director, jobId: number): Promise<string> {
  const { status } = await director.ask(`wait jobid=${jobId}`);
  return String(status);
}

/** The end of its log. */
async function linesOf(director: Director, jobId: number): Promise<string[]> {
  try {
    const { joblog } = await director.ask(`list joblog jobid=${jobId}`);
    const rows = Array.isArray(joblog) ? joblog : [];
    return rows.slice(-30).map((row) => String((row as { text?: unknown }).text ?? "").trim());
  } catch (error) {
    return [describeError(error)];
  }
}
