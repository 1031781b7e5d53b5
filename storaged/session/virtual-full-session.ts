/**
 * VirtualFull: a new Full out of a Full and what came after it, without a client and without moving content. Its
 * rows are what lies between the newest state and the Bases; content stays where it is, in whatever pool. It is an
 * ordinary backup session whose other end is this daemon, and which sends rows and the state stream only.
 */

import { BackupError } from "../../common/errors.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { StorageVirtualFull__Output } from "../../proto/generated/basalt/v1/StorageVirtualFull.js";
import type { DataStream } from "../../proto/rpc.js";
import type { Catalog } from "../catalog/catalog.js";
import type { JobListing } from "../catalog/types.js";
import { BackupSession } from "./backup-session.js";
import { FiledRole } from "./filed-role.js";
import { originRequest } from "./job-origin.js";
import type { SessionDeps } from "./session-deps.js";
import { innerStreams } from "./stream-pair.js";

/**
 * Settles what the job is made of; nothing is written before the session runs.
 * @throws BackupError NOT_FOUND, REQUEST_INVALID (runs that make no state together)
 */
export async function virtualFullSession(
  deps: Omit<SessionDeps, "connect">,
  request: StorageVirtualFull__Output,
  send: (event: JobEvent) => Promise<void>,
): Promise<BackupSession> {
  const { catalog } = deps;
  const newest = await newestOf(catalog, request);
  const { fileSetDigest, startMs, bases, client } = newest;
  const parents = { chain: [], bases };
  const { jobIds, ...facts } = { ...request, fileSetDigest, client, fileSet: newest.fileSet };
  const connect = async () => {
    // From the begin on nothing of what the new list is made of changes or goes.
    const { jobs, firstBase } = await catalog.reader.effective(newest.jobId);
    const below = jobs.slice(firstBase);
    const [now] = await listed(catalog, [newest.jobId]);
    if (String(now!.bases) !== String(bases))
      throw new BackupError("JOB_IN_USE", `JobId ${newest.jobId} was rebased meanwhile; run the job again`);
    const [mine, theirs] = innerStreams();
    const states = newest.hasState ? jobs[0] : undefined;
    const lists = {
      rows: catalog.difference(jobs, below),
      states: states === undefined ? undefined : catalog.states(states),
    };
    void sendLists(theirs, newest, lists).catch((error: Error) => theirs.destroy(error));
    return { stream: mine, close: () => mine.destroy() };
  };
  return new BackupSession({ ...deps, connect }, originRequest(facts, "VirtualFull", parents), send, {
    ...{ kind: "Virtual Full", startMs, type: "B", copyOf: "", draws: [newest.jobId], holds: [] },
  });
}

/** The run whose state the job takes: the newest of those named, or of all. */
async function newestOf(catalog: Catalog, request: StorageVirtualFull__Output): Promise<JobListing> {
  const { jobName, client, fileSet, jobIds } = request;
  const chain = jobIds.length > 0 ? jobIds : await newestChain(catalog, request);
  const runs = await listed(catalog, chain);
  const foreign = runs.find(
    (run) => run.jobName !== jobName || run.client !== client || run.fileSet !== fileSet,
  );
  if (foreign !== undefined) {
    const text = `JobId ${foreign.jobId} is of Job "${foreign.jobName}", Client "${foreign.client}", FileSet "${foreign.fileSet}", not of this one`;
    throw new BackupError("REQUEST_INVALID", text);
  }
  runs.sort((a, b) => b.startMs - a.startMs || b.jobId - a.jobId);
  const newest = runs[0]!;
  if (newest.level === "Base") {
    throw new BackupError("REQUEST_INVALID", `JobId ${newest.jobId} is a Base: it stands as it is`);
  }
  const missing = newest.chain.find((jobId) => !chain.includes(jobId));
  if (missing === undefined) return newest;
  const text = `JobId ${newest.jobId} builds on JobId ${missing}, which is not among the JobIds given`;
  throw new BackupError("REQUEST_INVALID", text);
}

async function newestChain(catalog: Catalog, request: StorageVirtualFull__Output): Promise<number[]> {
  const { jobName, client, fileSet } = request;
  const wanted = { level: "Incremental", base: [], ignoreFileSetChanges: true, fileSetDigest: "" };
  const { chain } = await catalog.reader.resolve({ jobName, client, fileSet, ...wanted });
  if (chain.length > 0) return chain;
  const text = `no Full backup of Job "${jobName}", Client "${client}", FileSet "${fileSet}" to begin with`;
  throw new BackupError("NOT_FOUND", text);
}

async function listed(catalog: Catalog, jobIds: number[]): Promise<JobListing[]> {
  const none = { client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  const all = await catalog.reader.listJobs({ jobIds, ...none });
  const runs = all.filter(({ status, type }) => (status === "T" || status === "W") && type === "B");
  const missing = jobIds.find((jobId) => !runs.some((run) => run.jobId === jobId));
  if (missing === undefined) return runs;
  throw new BackupError("NOT_FOUND", `JobId ${missing} is not a finished backup of this storage`);
}

async function sendLists(
  stream: DataStream,
  { client, status, baseFiles }: JobListing,
  lists: { rows: AsyncGenerator<Buffer, void>; states: AsyncGenerator<Buffer, void> | undefined },
): Promise<void> {
  const role = new FiledRole(stream);
  try {
    await role.begin(client);
    for await (const block of lists.rows) await role.rows(block);
    if (lists.states !== undefined) for await (const block of lists.states) await role.state(block);
    await role.end({ baseFiles, warnings: status === "W" ? 1 : 0 });
  } finally {
    await lists.rows.return();
    await lists.states?.return();
  }
}
