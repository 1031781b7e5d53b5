/** For tests: a daemon with a history of jobs, and copies of them within it or from another one. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { CatalogJob__Output } from "../../proto/generated/basalt/v1/CatalogJob.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { StorageCopy__Output } from "../../proto/generated/basalt/v1/StorageCopy.js";
import { Catalog } from "../catalog/catalog.js";
import type { JobListing } from "../catalog/types.js";
import { Disk, VOLUMES } from "../faults/disk.js";
import { restoreTree } from "../faults/model-restore.js";
import { NearDaemon } from "../faults/near-daemon.js";
import { at, differences, ModelTree, type Snapshot } from "../faults/tree.js";
import { deleteMigrated } from "../retention/migrated.js";
import { scanCatalog } from "../scan/scan.js";
import { FileStore } from "../store/file-store.js";
import type { BackupSession } from "./backup-session.js";
import { type CopyDeps, copySession } from "./copy-session.js";
import { serveCopy } from "./copy-source.js";
import { innerStreams } from "./stream-pair.js";
import { POOL } from "./testing.js";
import { virtualFullSession } from "./virtual-full-session.js";

const COPIES = { ...POOL, name: "Copies", labelFormat: "Copy-" };
const PLAIN = { ...POOL, name: "Plain", labelFormat: "Plain-", deduplicate: false };

/** A daemon with the trees that its jobs hold. */
export class Stage {
  readonly disk = new Disk();
  readonly trees = new Map<number, Snapshot>();
  daemon!: NearDaemon;
  jobId = 0;

  async open(firstJobId = 0): Promise<this> {
    this.jobId = firstJobId;
    this.daemon = await NearDaemon.start(this.disk, { pools: [POOL, COPIES, PLAIN] });
    return this;
  }

  async close(): Promise<void> {
    await this.daemon.stop();
    this.disk.remove();
  }

  async backup(tree: ModelTree, level: string, jobName = "vm", base: string[] = []): Promise<number> {
    const jobId = ++this.jobId;
    const { result, refusal } = await this.daemon.backup(tree, { jobId, level, jobName, base });
    assert.equal(result.ok, true, `${result.reason} ${refusal}`);
    this.trees.set(jobId, tree.snapshot());
    return jobId;
  }

  async job(jobId: number): Promise<JobListing> {
    return (await this.daemon.goodJobs()).find((job) => job.jobId === jobId)!;
  }

  async isTree(jobId: number, tree = this.trees.get(jobId)!): Promise<void> {
    assert.deepEqual(differences(tree, await this.daemon.restore(jobId)), [], `JobId ${jobId}`);
  }

  get deps(): Omit<CopyDeps, "connect"> {
    const { catalog, desk, verifier, log, store, deleter, devices } = this.daemon;
    const session = { id: 1, timeMs: 0 };
    return {
      ...{ catalog, desk, verifier, log, storage: "sd", session, settle: deleter.settle.bind(deleter) },
      source: { catalog, store, devices: () => devices, thread: false },
      dial: async () => assert.fail("dialed"),
      deleteJobs: () => deleteMigrated(catalog, deleter, log),
    };
  }

  async virtualFull(jobIds: number[] = []): Promise<{ jobId: number; result: JobResult }> {
    const jobId = ++this.jobId;
    const facts = { jobName: "vm", client: "vm-fd", fileSet: "All", device: "", comment: "", scheduledMs: 0 };
    const request = { ...facts, jobId, jobUuid: randomUUID(), job: `vm.${jobId}`, pool: "Copies", jobIds };
    const result = await run((send) => virtualFullSession(this.deps, request, send));
    return { jobId, result };
  }

  /** Copies a job from this daemon, or from `from`. */
  async copy(
    original: number,
    options: { pool?: string; migrate?: boolean; from?: Stage } = {},
  ): Promise<{ jobId: number; result: JobResult }> {
    const { pool = "Copies", migrate = false, from = this } = options;
    const jobId = ++this.jobId;
    const job = await from.job(original);
    const lower = job.chain.length > 0 ? job.chain : job.bases;
    const parents: CatalogJob__Output[] = [];
    for (const id of lower) parents.push((await from.job(id)) as unknown as CatalogJob__Output);
    const request: StorageCopy__Output = {
      ...{
        jobId,
        jobUuid: randomUUID(),
        jobName: "copy",
        job: `copy.${jobId}`,
        pool,
        device: "",
        ticket: "",
      },
      ...{ migrate, scheduledMs: 0, comment: "", original, originalUuid: job.uuid, parents },
      originalJob: job as unknown as CatalogJob__Output,
      ...{ fromName: from === this ? "" : "other", fromAddress: "", fromPort: 0 },
    };
    const dial = async () => {
      const [mine, theirs] = innerStreams();
      const messages = theirs.incoming[Symbol.asyncIterator]();
      void messages.next().then(({ value }) => {
        const { parents, withState } = JSON.parse(value.toString("utf8", 1));
        const { client, baseFiles, uuid: originalUuid } = job;
        const facts = { original, originalUuid, client, baseFiles, copy: jobId, copyUuid: request.jobUuid };
        const wish = { ...facts, warnings: 0, parents, withState };
        return serveCopy(from.deps.source, wish, bound(theirs, messages), async () => undefined).catch(
          () => undefined,
        );
      });
      return { stream: mine, close: () => mine.destroy() };
    };
    const result = await run((send) => copySession({ ...this.deps, dial }, request, send));
    this.trees.set(jobId, from.trees.get(original)!);
    return { jobId, result };
  }
}

/** The stream with what is left of its messages. */
function bound(stream: ReturnType<typeof innerStreams>[0], messages: AsyncIterator<Buffer>) {
  return {
    send: stream.send.bind(stream),
    end: stream.end.bind(stream),
    release: stream.release.bind(stream),
    destroy: stream.destroy.bind(stream),
    signal: stream.signal,
    incoming: { [Symbol.asyncIterator]: () => messages },
  };
}

async function run(
  session: (send: (event: JobEvent) => Promise<void>) => Promise<BackupSession>,
): Promise<JobResult> {
  const events: JobEvent[] = [];
  await (await session(async (event) => void events.push(event))).run();
  const result = events.at(-1)?.result ?? {};
  const warnings = events.filter(({ message }) => message?.type === "warning");
  assert.deepEqual(warnings, []);
  return result;
}

/** A catalog made from the volumes alone has the same jobs, and they restore equal. */
export async function scannedEqual(stage: Stage): Promise<void> {
  const { store, verifier, devices, catalog } = stage.daemon;
  const volumes = await catalog.reader.listVolumes("", "");
  const complaints: string[] = [];
  const catalogFile = join(stage.disk.directory, "scanned.db");
  const result = await scanCatalog({
    ...{ store, verifier, devices: devices.values(), swap: new FileStore(), catalogFile },
    files: volumes.map(({ name }) => `${VOLUMES}/${name}`),
    ...{ quick: false, add: false, dry: false, progress: () => undefined },
    complain: async (line) => void complaints.push(line),
  });
  assert.deepEqual(complaints, []);
  const jobs = await stage.daemon.goodJobs();
  assert.equal(result.jobs, jobs.length);
  const scanned = await Catalog.open(catalogFile, () => undefined);
  try {
    const none = { jobIds: [], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
    for (const { jobId, type, chain, bases } of await scanned.reader.listJobs(none)) {
      const known = jobs.find((job) => job.jobId === jobId);
      if (known === undefined) continue;
      assert.deepEqual([type, chain, bases], [known.type, known.chain, known.bases], `JobId ${jobId}`);
      const parts = { catalog: scanned, store, devices: () => devices };
      const tree = await restoreTree(parts, [...chain, jobId]);
      assert.deepEqual(differences(stage.trees.get(jobId)!, tree), [], `JobId ${jobId}`);
    }
  } finally {
    await scanned.close();
  }
}

export function referenceTree(): ModelTree {
  const tree = new ModelTree();
  for (const name of ["bin/a", "bin/b", "etc/passwd", "etc/d/x", "lib/so"])
    tree.file(at(name), `reference ${name}`);
  tree.file(at("lib/big"), Buffer.alloc(3_000_000, "0123456789abcdefghij"));
  return tree;
}

/** A Base, a Full on it, two Incrementals. */
export async function history(stage: Stage) {
  const base = await stage.backup(referenceTree(), "Base", "ref");
  const tree = referenceTree().file(at("etc/own"), "own").remove(at("bin/b"));
  const full = await stage.backup(tree, "Full", "vm", ["ref"]);
  const first = await stage.backup(tree.file(at("etc/more"), "more").remove(at("etc/d")), "Incremental");
  tree
    .file(at("own/big"), Buffer.alloc(2_500_000, "a big one of its own "))
    .link(at("own/link"), at("etc/own"));
  const second = await stage.backup(tree, "Incremental");
  return { base, full, first, second, tree };
}
