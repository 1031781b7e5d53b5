/** The worker threads of one restore: bounded hand-over, waiting for all, removal of unfinished files at the end. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { BackupError } from "../../common/errors.js";
import { endWorker } from "../sys/end-worker.js";
import { closeDevices, DEVICE_TABLE_BYTES } from "./devices.js";
import {
  type FromRestoreWorker,
  type RestoreWorkerData,
  SLOT_BYTES,
  type ToRestoreWorker,
  type UnitMessage,
  type UnitReport,
} from "./protocol.js";
import { newTag } from "./target.js";

export interface CrewOptions
  extends Omit<RestoreWorkerData, "tag" | "worker" | "slots" | "stop" | "devices"> {
  signal: AbortSignal;
  /** (Default: one per CPU, 2 to 4) */
  workers?: number;
  /** Called in no particular order. What it throws ends the restore. */
  onReport: (report: UnitReport) => void;
}

/** Messages at one worker: one in work, the others waiting. */
const UNITS_PER_WORKER = 3;
/** How long unfinished files may take to be removed after a failure. */
const CLEANUP_TIMEOUT_MS = 10_000;
const resourceLimits = { maxYoungGenerationSizeMb: 4 };

interface Member {
  worker: Worker;
  /** Messages that it has, oldest first, with their slots; -1 for none. */
  units: number[];
  cleaned: () => void;
}

export class RestoreCrew {
  /** Another one is started when all of them have something to do: most restores are of a few files. */
  readonly #members: Member[] = [];
  readonly #most: number;
  readonly #workerData: Omit<RestoreWorkerData, "worker">;
  readonly #options: CrewOptions;
  /** Used again and again: copies that are moved to a thread pile up there until its garbage is collected. */
  readonly #slots: Buffer[];
  readonly #freeSlots: number[];
  readonly #stop = new SharedArrayBuffer(4);
  readonly #devices = new SharedArrayBuffer(DEVICE_TABLE_BYTES);
  #failure: { error: unknown } | undefined;
  /** Who waits for something that a failure ends. */
  readonly #rejects = new Set<(error: unknown) => void>();
  #waiters: (() => void)[] = [];
  readonly #abort = (): void => this.#fail(this.#options.signal.reason);

  constructor(options: CrewOptions) {
    this.#options = options;
    const { baseFd, where, regexWhere, targetIsNew, allowed, replace, reportFiles } = options;
    const count = options.workers ?? Math.min(Math.max(availableParallelism(), 2), 4);
    const slots = Array.from({ length: count * UNITS_PER_WORKER }, () => new SharedArrayBuffer(SLOT_BYTES));
    this.#slots = slots.map((slot) => Buffer.from(slot));
    this.#freeSlots = [...slots.keys()];
    this.#most = count;
    this.#workerData = {
      baseFd,
      where,
      regexWhere,
      targetIsNew,
      allowed,
      replace,
      reportFiles,
      tag: newTag(),
      slots,
      stop: this.#stop,
      devices: this.#devices,
    };
    this.#startMember();
    options.signal.addEventListener("abort", this.#abort, { once: true });
  }

  #startMember(): Member {
    const workerData: RestoreWorkerData = { ...this.#workerData, worker: this.#members.length };
    const worker = new Worker(new URL("./restore-worker.js", import.meta.url), {
      workerData,
      resourceLimits,
    });
    const member: Member = { worker, units: [], cleaned: () => undefined };
    worker.on("message", (message: FromRestoreWorker) => this.#onMessage(member, message));
    worker.on("error", (error) => this.#fail(error));
    worker.on("exit", (status) => {
      member.cleaned();
      this.#fail(new Error(`a restore thread ended by itself (${status})`));
    });
    this.#members.push(member);
    return member;
  }

  #onMessage(member: Member, message: FromRestoreWorker): void {
    if (message.kind === "cleaned") member.cleaned();
    else if (message.kind === "fatal") {
      this.#fail(new BackupError(message.code, `restore: ${message.text}`));
    } else {
      const slot = member.units.shift()!;
      if (slot >= 0) this.#freeSlots.push(slot);
      this.#report(message.report);
    }
    for (const wake of this.#waiters.splice(0)) wake();
  }

  #report(report: UnitReport): void {
    if (this.#failure !== undefined) return;
    try {
      this.#options.onReport(report);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    Atomics.store(new Int32Array(this.#stop), 0, 1);
    for (const reject of this.#rejects) reject(error);
    this.#rejects.clear();
  }

  /**
   * The promise's outcome, or the crew's failure if that comes first. Not Promise.race: what is raced again and again
   * against one promise that lasts stays in memory as long as that one, here all messages of the restore.
   */
  orFailure<T>(promise: Promise<T>): Promise<T> {
    if (this.#failure !== undefined) {
      promise.catch(() => undefined);
      return Promise.reject(this.#failure.error);
    }
    return new Promise((resolve, reject) => {
      this.#rejects.add(reject);
      const settle = (): void => void this.#rejects.delete(reject);
      promise.finally(settle).then(resolve, reject);
    });
  }

  #change(): Promise<void> {
    return this.orFailure(new Promise<void>((resolve) => this.#waiters.push(resolve)));
  }

  /** Hands a message over, when a thread has room; not `parallel`: to the one thread that keeps the order. */
  async give(message: Buffer, failed: string[], parallel: boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const member = parallel ? this.#leastBusy() : this.#members[0]!;
      if (member.units.length < UNITS_PER_WORKER) {
        const slot = message.length <= SLOT_BYTES ? this.#freeSlots.pop()! : -1;
        member.units.push(slot);
        return this.#post(member, message, slot, failed);
      }
      await this.#change();
    }
  }

  #leastBusy(): Member {
    const best = this.#members.reduce((one, other) => (other.units.length < one.units.length ? other : one));
    return best.units.length > 0 && this.#members.length < this.#most ? this.#startMember() : best;
  }

  #post({ worker }: Member, message: Buffer, slot: number, failed: string[]): void {
    if (slot < 0) {
      // A copy of its own is moved to the thread; the message may be a piece of a larger buffer.
      const copy = new Uint8Array(message);
      worker.postMessage({ kind: "unit", message: copy, failed } satisfies ToRestoreWorker, [copy.buffer]);
      return;
    }
    message.copy(this.#slots[slot]!);
    const place: UnitMessage = { slot, length: message.length };
    worker.postMessage({ kind: "unit", message: place, failed } satisfies ToRestoreWorker);
  }

  /** Resolves when everything handed over is done. */
  async idle(): Promise<void> {
    while (this.#members.some(({ units }) => units.length > 0)) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Ends the threads; after a failure they remove the files they had begun. `failed`: the caller had one. */
  async close(failed: boolean): Promise<void> {
    this.#options.signal.removeEventListener("abort", this.#abort);
    const cleanUp = failed || this.#failure !== undefined;
    this.#fail(new Error("the restore has ended"));
    if (cleanUp) await this.#cleanUp();
    const request: ToRestoreWorker = { kind: "exit" };
    await Promise.all(this.#members.map(({ worker }) => endWorker(worker, request)));
    // A thread that hangs may still write: its descriptor must not come to mean another file.
    const hanging = this.#members.filter(({ worker }) => worker.threadId !== -1);
    for (const { worker } of hanging) worker.once("exit", () => void this.#closeDevices());
    await this.#closeDevices();
  }

  async #closeDevices(): Promise<void> {
    if (this.#members.every(({ worker }) => worker.threadId === -1)) await closeDevices(this.#devices);
  }

  async #cleanUp(): Promise<void> {
    const cleaned = this.#members.map(
      (member) =>
        new Promise<void>((resolve) => {
          member.cleaned = resolve;
          member.worker.postMessage({ kind: "cleanup" } satisfies ToRestoreWorker);
        }),
    );
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLEANUP_TIMEOUT_MS)));
    await Promise.race([Promise.all(cleaned), late]);
    clearTimeout(timer);
  }
}
