/**
 * The heart of a backup: the walk, merge-joined with the lists that storaged streams. Per entry it decides whether
 * the last run or a Base vouches for it or whether it must be read, and writes a row only where the job's effective
 * parent says something else. Memory is bounded: list windows, the reorder queue, held directories, open hard links.
 */
import { setImmediate as turn } from "node:timers/promises";
import { isBelow, isWithin } from "../../common/format/path.js";
import { EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { monotonicMs, nowMs } from "../../common/time.js";
import type { StatRecord } from "../sys/stat.js";
import { type WalkEntry, WalkEvent } from "../walk/event.js";
import type { Walker } from "../walk/walker.js";
import { ClaimBatch } from "./claims.js";
import { ContentFlow, type Packer } from "./content-flow.js";
import { Decider } from "./decider.js";
import { Emitter } from "./emitter.js";
import { EmptyRoots } from "./empty-roots.js";
import { stateOf } from "./entry-row.js";
import { HeldDirectories } from "./held-directories.js";
import { LEAVE_MS, Leaving } from "./leaving.js";
import type { Likeness } from "./likeness.js";
import { LinkTable } from "./link-table.js";
import type { Parents } from "./parents.js";
import { tellSkipped } from "./skipped.js";
import type { Tally } from "./tally.js";
import { Keeper } from "./unverified.js";
import { sameChange } from "./vouch.js";

export interface MatcherOptions {
  walker: Walker;
  parents: Parents;
  /** The own list is what new rows are written against. */
  ownIsParent: boolean;
  /** Attributes of every entry are listed, not only of those whose ctime changed. */
  listAllXattrs: boolean;
  /** The pool knows nothing: do not ask. */
  selfContained: boolean;
  packer: Packer;
  claim: (digests: Buffer) => Promise<Buffer>;
  sendRows: (block: Buffer) => Promise<void>;
  sendState: (block: Buffer) => Promise<void>;
  /** Hears every few seconds up to which key everything has been sent. */
  sendMark?: ((key: string) => Promise<void>) | undefined;
  /** Stops by itself behind so many entries. (Default: 0, never) */
  stopAfter?: number;
  tally: Tally;
  /** Percent of unread matches that are read all the same. */
  samplePercent: number;
  /** (Default: Math.random) */
  random?: () => number;
  signal: AbortSignal;
}

/** The walk never holds the event loop longer than about this. */
const SLICE_MS = 10;
/** Entries between two looks at the clock. */
const SLICE_ENTRIES = 128;
/**
 * A file that changed so shortly before it was looked at may change again within the same tick of the kernel's clock,
 * and its ctime would not tell: such an entry gets no state and is read again next time.
 */
const RACY_MS = 20;
/** So much work is lost at most when the job breaks off and goes on later. */
const MARK_MS = 2000;
/** `stopAfter` means whole entries, however slowly they are read. */
const STOP_AFTER_MS = 120_000;

export class Matcher {
  /** Where the walk is. */
  path = "";
  readonly #options: MatcherOptions;
  readonly #parents: Parents;
  readonly #tally: Tally;
  readonly #emitter: Emitter;
  readonly #claims: ClaimBatch;
  readonly #held = new HeldDirectories();
  readonly #links = new LinkTable();
  readonly #decider: Decider;
  readonly #keeper: Keeper;
  #failure: { error: unknown } | undefined;
  /** Place below which nothing could be looked at. */
  #unverified: string | undefined;
  #unverifiedSelf = false;
  /** Key whose row hides everything below it in the parent. */
  #hidden: string | undefined;
  #racyMs = 0;
  #sliceEnd = 0;
  #count = 0;
  readonly #leaving: Leaving;
  readonly #emptyRoots: EmptyRoots;

  constructor(options: MatcherOptions) {
    const { packer, tally, parents, claim, sendRows, sendState, sendMark } = options;
    const onFailure = (error: unknown): void => this.#fail(error);
    this.#options = options;
    this.#parents = parents;
    this.#tally = tally;
    this.#emitter = new Emitter({ sendRows, sendState, sendMark });
    this.#claims = new ClaimBatch({ claim, onFailure });
    const { overBases, likeness } = parents;
    const shared = { claims: this.#claims, emitter: this.#emitter, tally };
    this.#leaving = new Leaving({ ...shared, packer, check: () => this.#check() });
    const content = new ContentFlow({ ...shared, packer, held: this.#held, overBases, likeness, onFailure });
    this.#decider = new Decider({
      ...options,
      ...shared,
      content,
      links: this.#links,
      random: options.random ?? Math.random,
    });
    const ownOutranks = parents.own !== undefined && !options.ownIsParent;
    this.#emptyRoots = new EmptyRoots(options.walker, parents);
    this.#keeper = new Keeper({ ...shared, ownOutranks });
  }

  /** How much of a new Base is as in the one before, once `run` has ended; undefined without a list of that. */
  get likeness(): Likeness | undefined {
    return this.#parents.likeness;
  }

  /** `run` ends early, with a mark behind what it sent; what was walked is still read, for so long. */
  stop(finishMs = LEAVE_MS): void {
    this.#leaving.stop(finishMs);
    this.#held.wake();
  }

  /**
   * Walks, matches and emits everything; false when it was stopped before.
   * @throws BackupError when the job cannot be trusted or goes on no longer
   */
  async run(): Promise<boolean> {
    const { walker, signal, sendMark } = this.#options;
    const onAbort = (): void => this.#fail(signal.reason);
    const marking = sendMark && setInterval(() => this.#emitter.mark(), MARK_MS);
    try {
      signal.throwIfAborted();
      signal.addEventListener("abort", onAbort, { once: true });
      walker.checkRoots();
      this.#startSlice();
      while (!this.#leaving.now) {
        const event = walker.next();
        if (event === WalkEvent.done) break;
        const wait = this.#handle(event);
        if (wait !== undefined) await wait;
        if (++this.#count % SLICE_ENTRIES === 0 && monotonicMs() > this.#sliceEnd) {
          await turn();
          signal.throwIfAborted();
          this.#startSlice();
        }
      }
      if (!this.#leaving.now) {
        await this.#seekSlowly(undefined);
        this.#emptyRoots.checkFound();
      }
      if (!(await this.#leaving.drain())) {
        await this.#leaving.leave();
        return false;
      }
      walker.checkRootsAgain();
      tellSkipped(walker, this.#links, this.#keeper, this.#tally.report);
      return true;
    } finally {
      clearInterval(marking);
      signal.removeEventListener("abort", onAbort);
      walker.close();
      this.#held.closeAll();
    }
  }

  #startSlice(): void {
    this.#sliceEnd = monotonicMs() + SLICE_MS;
    this.#racyMs = nowMs() - RACY_MS;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#emitter.fail(error);
    this.#held.wake();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#options.signal.throwIfAborted();
  }

  #handle(event: WalkEvent): Promise<void> | undefined {
    const { walker } = this.#options;
    const key = event === WalkEvent.entry ? walker.entry.key : walker.key;
    if (event === WalkEvent.unreadBelow || event === WalkEvent.unread) {
      // Rows before `key` are dealt with under the old rule first, as far as they have arrived.
      return this.#afterSeek(key, () => {
        if (this.#unverified !== undefined && isBelow(this.#unverified, key)) return undefined;
        this.#unverified = key;
        this.#unverifiedSelf = event === WalkEvent.unread;
        return undefined;
      });
    }
    if (event === WalkEvent.through) return this.#afterSeek(key, () => this.#through(key));
    // The next key of a list decides: it may have to arrive first.
    if (event === WalkEvent.emptyRoot)
      return this.#seekSlowly(`${key}\0`).then(() => this.#emptyRoots.check(key));
    return this.#afterSeek(key, () => this.#entry(walker.entry));
  }

  /** Brings the lists to `key`, waiting for blocks if need be, then calls `then`. */
  #afterSeek(key: string, then: () => Promise<void> | undefined): Promise<void> | undefined {
    if (this.#parents.seek(key, this.#absent)) return then();
    return this.#seekSlowly(key).then(then);
  }

  async #seekSlowly(key: string | undefined): Promise<void> {
    while (!this.#parents.seek(key, this.#absent)) {
      await this.#parents.arrival();
      this.#startSlice();
      const room = this.#emitter.room();
      if (room !== undefined) await this.#waitForRoom(room);
    }
  }

  /** A path of the lists that the walk did not meet. */
  readonly #absent = (key: string, own: Row | undefined, effective: Row | undefined): void => {
    if (this.#hidden !== undefined && isBelow(this.#hidden, key)) return;
    const top = this.#unverified;
    if (top !== undefined && isWithin(top, key) && (key !== top || this.#unverifiedSelf)) {
      if (this.#keeper.keep(key, own, effective, top)) this.#hidden = key;
    } else if (effective !== undefined) {
      this.#delete(key);
    }
  };

  #delete(key: string): void {
    this.#tally.totals.deleted++;
    this.#hidden = key;
    this.#emitter.emit(key, emptyRow(key, EntryType.deleted), undefined);
  }

  /** A directory that is not saved, above something that is: only another kind of entry there is in the way. */
  #through(key: string): undefined {
    const effective = this.#parents.effectiveAt(key);
    if (effective !== undefined && effective.type !== EntryType.directory) this.#delete(key);
    this.#parents.pass(key);
    return undefined;
  }

  #entry(entry: WalkEntry): Promise<void> | undefined {
    const { key, stat } = entry;
    const { stopAfter = 0 } = this.#options;
    if (stopAfter > 0 && this.#tally.totals.examined >= stopAfter) return void this.stop(STOP_AFTER_MS);
    this.path = key;
    this.#tally.totals.examined++;
    const parents = this.#parents;
    const own = parents.ownAt(key);
    const state = this.#isRacy(stat) ? undefined : stateOf(stat);
    const unchanged = sameChange(own, stat);
    if (unchanged && this.#decider.isPlain(entry, own!)) {
      this.#emitter.emit(key, undefined, state);
      parents.pass(key);
      return this.#room();
    }
    const effective = parents.effectiveAt(key);
    const bases = parents.basesAt(key);
    const compared = parents.comparedAt(key);
    parents.pass(key);
    if (stat.type !== EntryType.directory) this.#hidden = key;
    const reading = this.#decider.decide(entry, { own, effective, bases, compared, unchanged, state });
    return reading === undefined ? this.#room() : reading.then(() => this.#room());
  }

  #isRacy(stat: StatRecord): boolean {
    return stat.ctimeSec * 1000 + stat.ctimeNsec / 1e6 > this.#racyMs;
  }

  /** Undefined when the walk may go on. */
  #room(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    const room = this.#emitter.room();
    if (room === undefined && !this.#held.full) return undefined;
    return this.#waitForRoom(room);
  }

  async #waitForRoom(room: Promise<void> | undefined): Promise<void> {
    // Questions still collected may be what the head of the queue waits for.
    this.#claims.flush();
    await room;
    while (this.#held.full && this.#failure === undefined && !this.#leaving.now) {
      this.#claims.flush();
      await this.#held.change();
    }
    this.#check();
    this.#startSlice();
  }
}
