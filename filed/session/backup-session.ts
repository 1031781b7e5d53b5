/**
 * A backup at the file daemon: waits for storaged's call, then walks, matches and sends until the job is committed. A
 * Verify job that looks at the machine's files is the same, but that it only compares.
 */
import { BackupError, describeError } from "../../common/errors.js";
import { DIGEST_BYTES } from "../../common/format/content.js";
import { keyToPath } from "../../common/format/path.js";
import { leastLimit } from "../../common/units.js";
import { type BackupStart, isDiskVerifyLevel } from "../../proto/data/backup.js";
import type { FiledBackup__Output } from "../../proto/generated/basalt/v1/FiledBackup.js";
import type { FileSet__Output } from "../../proto/generated/basalt/v1/FileSet.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import { type OpenLists, openLists, withExcludeLists } from "../lists/open-lists.js";
import type { Likeness } from "../match/likeness.js";
import { Matcher } from "../match/matcher.js";
import { Tally } from "../match/tally.js";
import { PackPool } from "../pack/pool.js";
import { checkRequest } from "../reference/allowed.js";
import { withReference } from "../reference/build.js";
import { expectLikeness } from "../reference/expected-match.js";
import { Comparer } from "../verify/comparer.js";
import { type CompiledFileSet, compileFileSet } from "../walk/file-set.js";
import { Walker } from "../walk/walker.js";
import { BackupLink } from "./backup-link.js";
import { parentsOf, verifiedList } from "./backup-parents.js";
import { Bandwidth } from "./bandwidth.js";
import type { BackupCall } from "./check-call.js";
import type { SessionDeps } from "./deps.js";
import { hangupFiles, takeHangup, walkToEnd } from "./hangup.js";
import { JobSession } from "./job-session.js";
import { ReadLimit } from "./read-limit.js";
import { StorageCalls } from "./storage-calls.js";
import { within } from "./within.js";

const NO_FILES: FileSet__Output = { name: "", include: [], exclude: [], excludeLists: [] };
const PROGRESS_MS = 1000;

/** How long a failing job tries to tell storaged why. */
const GIVE_UP_MS = 2000;
/** How long storaged may take to close a stream that is done with. */
const CLOSE_MS = 100;

export class BackupSession extends JobSession {
  readonly calls: StorageCalls;
  readonly #request: FiledBackup__Output;
  readonly #tally: Tally;
  #fileSet: CompiledFileSet | undefined;
  #lists: OpenLists | undefined;
  #link: BackupLink | undefined;
  #matcher: Matcher | Comparer | undefined;
  #bandwidth: Bandwidth | undefined;
  /** For this job, perhaps before it sends. */
  #toldLimit: number | undefined;
  /** Why the walk was told to end early. */
  #stopReason: string | undefined;
  #kept = false;

  constructor(
    deps: SessionDeps,
    job: { request: FiledBackup__Output; director: string },
    send: (event: JobEvent) => Promise<void>,
  ) {
    super(
      deps,
      { ...job, kind: isDiskVerifyLevel(job.request.level) ? "Verify" : "Backup", level: job.request.level },
      send,
    );
    this.#request = job.request;
    this.calls = new StorageCalls(job.request);
    this.#tally = new Tally(this.tally.report);
  }

  override async run(): Promise<void> {
    try {
      await super.run();
    } finally {
      this.calls.release();
      this.#lists?.close();
      this.deps.inbox.remove(this.#request.jobUuid);
    }
  }

  override stop(reason: string): void {
    const { start } = this.#link ?? {};
    if (this.#matcher instanceof Matcher && start?.marks === true) {
      this.#stopReason ??= reason;
      this.#matcher.stop();
    } else super.stop(reason);
  }

  override setBandwidth(bytesPerSec: number): boolean {
    this.#toldLimit = bytesPerSec;
    this.#bandwidth?.set(bytesPerSec);
    return true;
  }

  protected prepare(): void {
    checkRequest(this.#request, this.deps.config().references);
    this.deps.inbox.hold(this.#request.jobUuid);
    this.#fileSet = compileFileSet(this.#request.fileSet ?? NO_FILES);
  }

  protected work(): Promise<JobResult> {
    const { reference } = this.#request;
    if (reference === null) return this.#backup();
    const { signal, hookJob } = this;
    const state = (text: string): void => this.events.setState(text);
    const tools = { config: this.deps.config(), job: hookJob, report: this.tally.report, state, signal };
    return withReference(reference, tools, () => this.#backup());
  }

  async #backup(): Promise<JobResult> {
    try {
      await this.#readLists();
      const coming = this.calls.wait(this.signal);
      if (!this.signal.aborted) this.events.setState("ready");
      const call = await coming;
      await this.#transfer(call);
      return this.partialResult();
    } finally {
      this.calls.release();
    }
  }

  /** After the Before hooks, which may write them. */
  async #readLists(): Promise<void> {
    const { inbox, config } = this.deps;
    const context = { config: config(), report: this.#tally.report, signal: this.signal };
    this.#fileSet = compileFileSet(await withExcludeLists(this.#request.fileSet ?? NO_FILES, context));
    this.#lists = await openLists(this.#fileSet, { ...context, inbox, key: this.#request.jobUuid });
  }

  async #transfer({ stream, incoming, start }: BackupCall): Promise<void> {
    const { signal } = this;
    const link = new BackupLink(stream, start, (error) => this.abort(error));
    this.#link = link;
    this.calls.attach(link);
    const onAbort = (): void => link.fail(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const reading = link.read(incoming);
    const timer = setInterval(() => this.#tellProgress(), PROGRESS_MS);
    const pool = this.#pool(link, start);
    try {
      this.events.setState("running");
      await link.open(this.deps.config().name, this.deps.protocol);
      this.#matcher = isDiskVerifyLevel(start.level)
        ? this.#newComparer(link, start, pool)
        : this.#newMatcher(link, start, pool);
      const whole = await walkToEnd(this.#matcher, this.deps.settings, this.#tally);
      this.#tally.finish();
      signal.throwIfAborted();
      await this.snapshots.check();
      if (!whole) return await this.#leave(link);
      expectLikeness(this.#request.reference, start.lists, this.#likeness, this.#tally.report);
      this.events.setState("committing");
      await link.commit(this.#totals());
      this.events.setState("committed");
    } catch (error) {
      const cause = signal.aborted ? signal.reason : error;
      const canceled = (cause as { code?: unknown }).code === "JOB_CANCELED";
      // A transport that takes nothing more must not hold up the After hooks.
      await within(GIVE_UP_MS, link.giveUp(describeError(cause), canceled, this.#totals()));
      throw cause;
    } finally {
      clearInterval(timer);
      signal.removeEventListener("abort", onAbort);
      await pool.close();
      await within(CLOSE_MS, reading);
      this.#setProgress();
    }
  }

  /** The job ends early: storaged keeps what it has. @throws BackupError JOB_STOPPED, or why it could not */
  async #leave(link: BackupLink): Promise<never> {
    const { settings } = this.deps;
    const why = this.#stopReason ?? takeHangup(settings);
    this.events.setState("committing");
    await link.stop(why, this.#totals());
    this.#kept = true;
    throw new BackupError("JOB_STOPPED", why);
  }

  #pool(link: BackupLink, start: BackupStart): PackPool {
    const { readLimit, nice, ioNice, bandwidth } = this.#request;
    const told = this.#toldLimit ?? this.deps.settings?.bandwidth.get(this.director);
    const configured = this.deps.config().maximumBandwidthPerJob;
    this.#bandwidth = new Bandwidth(told ?? leastLimit(bandwidth, configured), this.signal);
    const limit = readLimit > 0 ? new ReadLimit(readLimit, this.signal) : undefined;
    // Files are read for their digests alone: nothing is asked and nothing sent.
    const only = isDiskVerifyLevel(start.level);
    return new PackPool({
      workers: this.deps.config().workerThreads,
      jobId: start.jobId,
      selfContained: start.selfContained,
      send: only ? async (_, onSent) => onSent?.() : this.#bandwidth.limited(link.send.bind(link)),
      claim: only ? async (digests) => Buffer.alloc(digests.length / DIGEST_BYTES, 1) : link.claim,
      throttle: limit,
      signal: this.signal,
      nice,
      ioNice,
      onRemark: (text) => this.deps.log.warn(text, { jobId: start.jobId }),
    });
  }

  #newMatcher(link: BackupLink, start: BackupStart, pool: PackPool): Matcher {
    const { ownIsParent, selfContained } = start;
    return new Matcher({
      walker: this.#newWalker(),
      parents: parentsOf(link, start),
      ownIsParent,
      // After a change of the FileSet's options, which forces a Full, the own list's attributes may be others.
      listAllXattrs: start.level === "Full" || start.level === "Base",
      selfContained,
      packer: pool,
      claim: link.claim,
      sendRows: link.sendRows,
      sendState: link.sendState,
      sendMark: start.marks === true ? link.sendMark : undefined,
      stopAfter: start.marks === true ? hangupFiles(this.deps.settings) : 0,
      tally: this.#tally,
      samplePercent: this.#request.sampleVerify,
      signal: this.signal,
    });
  }

  #newWalker(): Walker {
    const { allowedRoots } = this.deps.config();
    const listed = this.#lists?.roots;
    return new Walker({ fileSet: this.#fileSet!, listed, allowedRoots, report: this.#tally.report });
  }

  #newComparer(link: BackupLink, start: BackupStart, packer: PackPool): Comparer {
    return new Comparer({
      walker: this.#newWalker(),
      list: verifiedList(link, start),
      packer,
      sendRows: link.sendRows,
      sendState: link.sendState,
      tally: this.#tally,
      signal: this.signal,
    });
  }

  #totals() {
    const { totals } = this.#tally;
    totals.bytesSent = this.#link?.bytesSent ?? 0;
    return totals;
  }

  get #likeness(): Likeness | undefined {
    return this.#matcher instanceof Matcher ? this.#matcher.likeness : undefined;
  }

  #setProgress(): string {
    const { examined, bytesRead, bytesSent, errors } = this.#totals();
    const path = keyToPath(this.#matcher?.path ?? "");
    this.events.setProgress({
      files: examined,
      bytesRead,
      bytesSent,
      errors,
      path: Buffer.from(path, "latin1"),
    });
    return path;
  }

  #tellProgress(): void {
    const path = this.#setProgress();
    const { examined, bytesRead, bytesSent } = this.#tally.totals;
    this.#link?.progress({ files: examined, bytesRead, bytesSent, path: path.slice(0, 4096) });
  }

  protected partialResult(): JobResult {
    const { files, deleted, examined, bytes, bytesRead, bytesSent } = this.#totals();
    const { baseFiles, baseBytes, usedFiles, differences = 0 } = this.#totals();
    const seen = { files, deleted, examined, bytes, bytesRead, bytesSent };
    return { ...seen, baseFiles, baseBytes, usedFiles, differences, incomplete: this.#kept };
  }
}
