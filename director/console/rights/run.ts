/** Whether a console may start a run, and what of its files. */

import { BackupError } from "../../../common/errors.js";
import { nextPoolOf } from "../../job/plan.js";
import { restoreTarget } from "../../job/restore-target.js";
import { type Acl, type AclKind, notAllowed } from "../acl.js";
import type { ConsoleDirector, JobPlan, RunRequest } from "../port.js";
import { GatedEntries } from "./entries.js";
import type { EntryGate } from "./gate.js";

export interface RunRights {
  acl: Acl;
  gate: EntryGate;
  signal: AbortSignal;
  /** The director without limits. */
  whole: ConsoleDirector;
}

/** Parts of a request whose rights are checked here; a console with ACLs gets no others. */
const KNOWN: ReadonlySet<string> = new Set([
  ...["job", "level", "pool", "storage", "client", "fileSet", "whenMs", "priority", "comment", "accurate"],
  ...["restore", "verifyLevel", "verifyJobId", "verifyJob", "jobIds", "nextPool", "origins", "cloned"],
]);
const KNOWN_RESTORE: ReadonlySet<string> = new Set([
  ...["selection", "client", "restoreClient", "where", "regexWhere", "replace", "filesExpected"],
  // Only the file that the restore command has written itself.
  ...["bootstrap", "dropBootstrap"],
  // What lies in a disk image has no record that could be looked at: only for consoles that may see all of a tree.
  "inImages",
]);

/**
 * The request as this console may run it: a restore leaves out files that are not granted.
 * @throws BackupError NOT_ALLOWED, NOT_FOUND
 */
export async function grantedRun(request: RunRequest, plan: JobPlan, rights: RunRights): Promise<RunRequest> {
  checkParts(request, rights.acl);
  checkPlan(plan, rights.acl);
  checkRuns(request, rights);
  const { restore } = request;
  if (restore === undefined || rights.gate.open) return request;
  const caller = await rights.whole.daemons.storaged(plan.storage?.name ?? "", { signal: rights.signal });
  const entries = new GatedEntries(rights.gate, caller, rights.signal);
  const { jobIds } = restore.selection;
  const rules = await entries.narrowed(jobIds, restore.selection.rules);
  return { ...request, restore: { ...restore, selection: { jobIds, rules } } };
}

/** Bootstrap files and whatever else may come: only to consoles for which places do not matter. */
function checkParts(request: RunRequest, acl: Acl): void {
  const free = (["where", "directory", "userId", "job", "client", "pool", "storage"] as const).every((kind) =>
    acl.grantsAll(kind),
  );
  if (free) return;
  const given = (value: object, known: ReadonlySet<string>) =>
    Object.entries(value).find(([key, each]) => each !== undefined && !known.has(key))?.[0];
  const key = given(request, KNOWN) ?? (request.restore && given(request.restore, KNOWN_RESTORE));
  if (key !== undefined) throw notAllowed(`"${key}" of a run`);
  if (request.restore?.inImages !== undefined && !(acl.grantsAll("directory") && acl.grantsAll("userId")))
    throw notAllowed("restoring files out of disk images");
}

/** Every resource that a run would use. @throws BackupError NOT_ALLOWED */
export function checkPlan(plan: JobPlan, acl: Acl): void {
  const need = (kind: AclKind, name: string | undefined, what: string): void => {
    if (name !== undefined && !acl.allows(kind, name)) throw notAllowed(`${what} "${name}"`);
  };
  const { job, client, fileSet, pool, storage, request } = plan;
  const restores = job.type === "Restore";
  need("job", job.name, "Job");
  if (client !== undefined && !acl.allowsClient(client.name, restores ? "restore" : "backup"))
    throw notAllowed(`Client "${client.name}"`);
  const source = request.restore?.client;
  if (source !== undefined && !acl.allowsClient(source)) throw notAllowed(`Client "${source}"`);
  if (!restores) need("fileSet", fileSet?.name, "FileSet");
  if (!restores) need("pool", pool?.name, "Pool");
  need("storage", storage?.name, "Storage");
  // New names may lead anywhere.
  const { where, regexWhere } = restoreTarget(plan);
  if (restores && regexWhere !== "" && !acl.allows("where", "/"))
    throw notAllowed(`RegexWhere "${regexWhere}"`);
  if (restores && regexWhere === "") need("where", where || "/", "Where");
  if (job.type !== "Copy" && job.type !== "Migrate" && plan.level !== "VirtualFull") return;
  const next = nextPoolOf(plan)?.resource;
  need("pool", next?.name, "Pool");
  need("storage", next?.storage, "Storage");
}

/** Runs that are named by number, and the job whose run is verified. */
function checkRuns({ restore, jobIds, verifyJobId, verifyJob }: RunRequest, { acl, whole }: RunRights): void {
  if (verifyJob !== undefined && !acl.allows("job", verifyJob))
    throw new BackupError("NOT_FOUND", `Job "${verifyJob}" not found`);
  const named = [...(jobIds ?? []), ...(restore?.selection.jobIds ?? [])];
  if (verifyJobId !== undefined) named.push(verifyJobId);
  const seesAll = (["job", "client", "fileSet"] as const).every((kind) => acl.grantsAll(kind));
  for (const jobId of named) {
    const record = whole.db.jobs.get(jobId);
    // Where nothing is hidden, what is not there is the job's to find out, as it is for the administrator's console.
    if (record === undefined && seesAll) continue;
    const seen =
      record !== undefined &&
      acl.allows("job", record.name) &&
      (record.client === "" || acl.allowsClient(record.client)) &&
      (record.fileSet === "" || acl.allows("fileSet", record.fileSet));
    if (!seen) throw new BackupError("NOT_FOUND", `JobId ${jobId} is not in the catalog`);
  }
}
