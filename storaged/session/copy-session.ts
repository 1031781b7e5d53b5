/**
 * Copy and Migrate at the storage daemon that writes: an ordinary backup session whose other end is the storage
 * daemon that has the original (this one, or another that it dials). A copy lies over copies of what its original
 * lies over, where all of them are in the same pool; else it stands alone, as a Full. A migrated job takes its
 * original's place.
 */

import { BackupError, describeError } from "../../common/errors.js";
import { encodeJson } from "../../proto/data/backup.js";
import { CopyKind, type CopyRequest } from "../../proto/data/copy.js";
import type { CatalogJob__Output } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { StorageCopy__Output } from "../../proto/generated/basalt/v1/StorageCopy.js";
import { type DataStream, PROTOCOL } from "../../proto/rpc.js";
import type { Catalog } from "../catalog/catalog.js";
import type { LocalJob, StoredLevel } from "../catalog/types.js";
import { BackupSession } from "./backup-session.js";
import { type CopySourceOptions, serveCopy } from "./copy-source.js";
import { type JobOrigin, originRequest } from "./job-origin.js";
import type { Reporter } from "./reporter.js";
import type { SessionDeps } from "./session-deps.js";
import { innerStreams } from "./stream-pair.js";

export interface CopyDeps extends Omit<SessionDeps, "connect"> {
  source: CopySourceOptions;
  /** Opens the data stream to the storage daemon of the request. */
  dial: (request: StorageCopy__Output) => Promise<{ stream: DataStream; close: () => void }>;
  /** Deletes jobs whose place was taken. @throws BackupError JOBS_NEEDED */
  deleteJobs: (jobs: readonly LocalJob[]) => Promise<{ warnings: string[] }>;
  /** Runs work while nothing is pruned, purged or rebased. (Default: at once) */
  exclusively?: (work: () => Promise<void>) => Promise<void>;
}

/** What the copy lies over: JobIds here, and whether that is a copy of everything the original lies over. */
interface Placement {
  level: StoredLevel;
  chain: number[];
  bases: number[];
  overParents: boolean;
}

type Dialed = { stream: DataStream; close: () => void };

/** Settles what the copy lies over; nothing is written before the session runs. @throws BackupError REQUEST_INVALID */
export async function copySession(
  deps: CopyDeps,
  request: StorageCopy__Output,
  send: (event: JobEvent) => Promise<void>,
): Promise<BackupSession> {
  const original = request.originalJob;
  if (original === null) throw new BackupError("REQUEST_INVALID", "the director did not say what to copy");
  const here = request.fromName === "";
  const { exclusively = (work: () => Promise<void>) => work() } = deps;
  const place = await placeOf(deps.catalog, request, original);
  const { jobId, jobUuid, job, pool, device, scheduledMs, comment } = request;
  const { jobName, client, fileSet, fileSetDigest, startMs, endMs } = original;
  const facts = { jobId, jobUuid, job, pool, device, scheduledMs, comment };
  const names = { jobName, client, fileSet, fileSetDigest };
  const over = place.overParents ? { parents: request.parents.map(({ uuid }) => uuid) } : {};
  const stream = { ...over, withState: request.migrate };
  const origin: JobOrigin = {
    ...{ kind: request.migrate ? "Migration" : "Copy", startMs, endMs },
    // Until a migrated job has taken its original's place it stands back as a copy does.
    ...{ type: "C", copyOf: request.originalUuid, draws: [], holds: here ? [request.original] : [] },
    prior: request.migrate && here ? await placesTakenBy(deps.catalog, request.original) : [],
    ...(request.migrate
      ? { committed: (reporter: Reporter) => exclusively(() => takePlace(deps, request, reporter)) }
      : {}),
  };
  let session: BackupSession;
  const connect = (): Promise<Dialed> =>
    here
      ? copyHere(deps, request, original, stream, (text) => session.say(text))
      : dialOther(deps, request, stream);
  const { level, ...parents } = place;
  session = new BackupSession(
    { ...deps, connect },
    originRequest({ ...facts, ...names }, level, parents),
    send,
    origin,
  );
  return session;
}

/** Whose place the original of a migration has taken: what lay over one of those lies over the original now. */
async function placesTakenBy(catalog: Catalog, jobId: number): Promise<string[]> {
  const none = { client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  const [original] = await catalog.reader.listJobs({ jobIds: [jobId], ...none });
  return original === undefined || original.copyOf === "" ? [] : [original.copyOf, ...original.prior];
}

async function placeOf(
  catalog: Catalog,
  { migrate, fromName, pool, parents }: StorageCopy__Output,
  original: CatalogJob__Output,
): Promise<Placement> {
  const level = original.level as StoredLevel;
  const { chain, bases } = original;
  // Within one storage a migrated job lies over what its original lies over.
  if (migrate && fromName === "") return { level, chain, bases, overParents: true };
  const uuids = parents.map(({ uuid }) => uuid);
  const copies = uuids.length === 0 ? [] : await catalog.reader.copiesOf(uuids, pool);
  if (copies === undefined || copies.length !== (chain.length || bases.length)) return alone(level);
  if (chain.length === 0) return { level, chain: [], bases: copies, overParents: copies.length > 0 };
  return chainOfCopies(catalog, level, copies);
}

/** The copies must lie over each other as the originals do: one that stands alone begins anew. */
async function chainOfCopies(catalog: Catalog, level: StoredLevel, copies: number[]): Promise<Placement> {
  const none = { client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  const newest = (await catalog.reader.listJobs({ jobIds: [copies.at(-1)!], ...none }))[0];
  if (newest === undefined) return alone(level);
  const chain = [...newest.chain, newest.jobId];
  return { level, chain, bases: newest.bases, overParents: true };
}

/** A list that lies over nothing is that of a Full. */
function alone(level: StoredLevel): Placement {
  return { level: level === "Base" ? "Base" : "Full", chain: [], bases: [], overParents: false };
}

async function copyHere(
  { source }: CopyDeps,
  request: StorageCopy__Output,
  { client, baseFiles, status }: CatalogJob__Output,
  how: Pick<CopyRequest, "parents" | "withState">,
  say: (text: string) => Promise<void>,
): Promise<Dialed> {
  const [mine, theirs] = innerStreams();
  const { original, originalUuid, jobId: copy, jobUuid: copyUuid } = request;
  const warnings = status === "W" ? 1 : 0;
  const wish = { original, originalUuid, client, warnings, baseFiles, copy, copyUuid };
  const { parents, withState } = how;
  void serveCopy(source, { ...wish, parents, withState }, theirs, say).catch(() => undefined);
  return { stream: mine, close: () => mine.destroy() };
}

async function dialOther(
  { dial }: CopyDeps,
  request: StorageCopy__Output,
  how: Pick<CopyRequest, "parents" | "withState">,
): Promise<Dialed> {
  const dialed = await dial(request);
  const { ticket, jobUuid } = request;
  const wish: CopyRequest = { protocol: { ...PROTOCOL }, ticket, jobUuid, ...how };
  await dialed.stream.send(encodeJson(CopyKind.request, wish));
  return dialed;
}

/** The copy counts from now on; the original, when it lies here, goes. */
async function takePlace(deps: CopyDeps, request: StorageCopy__Output, reporter: Reporter): Promise<void> {
  const { catalog } = deps;
  const { jobUuid, originalUuid, original: originalId } = request;
  const { original } = await catalog.writer.takePlace(jobUuid, originalUuid);
  if (original === undefined || request.fromName !== "") return;
  try {
    const { warnings } = await deps.deleteJobs([original]);
    for (const text of warnings) await reporter.message("warning", text);
  } catch (error) {
    const text = `JobId ${originalId} could not be deleted after its migration: ${describeError(error)}`;
    await reporter.message("warning", `${text}; the next start of the storage daemon does it`);
  }
}
