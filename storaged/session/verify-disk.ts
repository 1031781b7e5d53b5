/**
 * Verify levels that look at the machine's files: filed walks and compares; this side sends it the list to compare
 * with (DiskToCatalog, Catalog), or takes down what it saw (InitCatalog).
 */

import { BackupError } from "../../common/errors.js";
import { nowMs } from "../../common/time.js";
import { BackupKind, type BackupStart, type DiskVerifyLevel, encodeJson } from "../../proto/data/backup.js";
import { PROTOCOL } from "../../proto/rpc.js";
import type { LocalJob } from "../catalog/types.js";
import type { VerifiedList } from "../catalog/verify-lists.js";
import { detached } from "../catalog/worker-rpc.js";
import { violation } from "../catalog/writer-context.js";
import { Exchange, type ExchangeOptions } from "./backup-exchange.js";
import { ListSender } from "./backup-lists.js";
import type { VerifyOutcome } from "./verify-data.js";
import type { VerifyWork } from "./verify-session.js";

/** `list` undefined: an InitCatalog. @throws BackupError */
export async function verifyDisk(work: VerifyWork, list: VerifiedList | undefined): Promise<VerifyOutcome> {
  const { writer } = work.deps.catalog;
  const init = list === undefined ? await begin(work) : undefined;
  try {
    const totals = await exchange(work, list, init);
    if (init !== undefined) for (const old of await writer.commitInit(init, nowMs())) await drop(work, old);
    const { examined, bytes } = totals;
    return { expected: 0, examined, bytes, differences: 0, volumes: [] };
  } catch (error) {
    if (init !== undefined) await drop(work, init).catch(() => undefined);
    throw error;
  }
}

function begin({ deps, request }: VerifyWork): Promise<LocalJob> {
  const { jobUuid: uuid, jobId, jobName, job, client, fileSet, fileSetDigest } = request;
  const facts = { uuid, jobId, jobName, job, client, fileSet, fileSetDigest };
  return deps.catalog.writer.beginInit({ ...facts, startMs: nowMs() });
}

async function drop({ deps }: VerifyWork, job: LocalJob): Promise<void> {
  while (!(await deps.catalog.writer.dropInit(job)));
}

async function exchange(work: VerifyWork, list: VerifiedList | undefined, init: LocalJob | undefined) {
  const { deps, request, reporter, signal } = work;
  const { stream, close } = await deps.connect(request);
  let failure: { error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failure ??= { error };
    stream.destroy(error instanceof Error ? error : new Error(String(error)));
  };
  const abort = () => {
    const reason = (signal.reason as Error).message;
    void stream.send(encodeJson(BackupKind.abort, { reason })).catch(() => undefined);
    setTimeout(() => fail(signal.reason), 100).unref();
  };
  signal.addEventListener("abort", abort, { once: true });
  // The machine may let itself be waited for: nobody keeps the list as it is meanwhile.
  const sources =
    list === undefined
      ? []
      : [{ layers: list.layers, stateOf: list.stateOf || undefined, effective: list.layers }];
  const lists = list === undefined ? [] : [{ role: "verified" as const, jobId: list.jobId }];
  const sender = new ListSender(deps.catalog, { lists, sources, ownIsParent: false }, stream, fail);
  try {
    signal.throwIfAborted();
    await stream.send(encodeJson(BackupKind.start, startOf(work, lists)));
    const helloTimeoutMs = (request.filedTimeoutSec || 180) * 1000;
    const ingest = new InitIngest(work, init, fail);
    const volumes = { bytesStored: 0, current: undefined };
    const { client } = request;
    const { totals } = await new Exchange({
      stream,
      ingest,
      lists: sender,
      reporter,
      volumes,
      client,
      helloTimeoutMs,
    }).run();
    signal.throwIfAborted();
    await stream.send(encodeJson(BackupKind.committed, { ok: true })).catch(() => undefined);
    await stream.end();
    return totals;
  } catch (error) {
    throw failure?.error ?? error;
  } finally {
    signal.removeEventListener("abort", abort);
    await sender.close();
    close();
  }
}

function startOf({ deps, request }: VerifyWork, lists: BackupStart["lists"]): BackupStart {
  const { jobUuid, jobId, ticket, level } = request;
  return {
    protocol: { ...PROTOCOL },
    storage: deps.storage,
    jobUuid,
    jobId,
    level: level as DiskVerifyLevel,
    ticket,
    lists,
    ownIsParent: false,
    selfContained: false,
  };
}

/** Takes rows and state of an InitCatalog, and refuses everything else. */
class InitIngest implements Pick<ExchangeOptions["ingest"], "rows" | "state"> {
  readonly #work: VerifyWork;
  readonly #init: LocalJob | undefined;
  readonly fail: (error: unknown) => void;

  constructor(work: VerifyWork, init: LocalJob | undefined, fail: (error: unknown) => void) {
    this.#work = work;
    this.#init = init;
    this.fail = fail;
  }

  rows(block: Buffer): Promise<void> {
    return this.#add("rows", block);
  }

  state(block: Buffer): Promise<void> {
    return this.#add("states", block);
  }

  async #add(table: "rows" | "states", block: Buffer): Promise<void> {
    if (this.#init === undefined) throw violation("rows in a Verify job that stores none");
    await this.#work.deps.catalog.writer.addInit(this.#init, table, detached(block));
  }

  async frame(): Promise<void> {
    throw violation("content in a Verify job");
  }

  async parts(): Promise<void> {
    throw violation("content in a Verify job");
  }

  async mark(): Promise<void> {
    throw violation("a mark in a Verify job");
  }

  async claim(): Promise<Buffer> {
    throw new BackupError("PROTOCOL_VIOLATION", "the client asked about content in a Verify job");
  }
}
