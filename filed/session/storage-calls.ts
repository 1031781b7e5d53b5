/** storaged's calls for one backup: the job's stream, and where it brings lists in a call of their own, that one. */
import { BackupError } from "../../common/errors.js";
import type { FiledBackup__Output } from "../../proto/generated/basalt/v1/FiledBackup.js";
import type { Peer, ProtocolVersion } from "../../proto/rpc.js";
import type { BackupLink } from "./backup-link.js";
import { CallWaiter } from "./call-waiter.js";
import { type BackupCall, checkCall, checkCaller, type ListsCall } from "./check-call.js";

const DEFAULT_WAIT_SEC = 1800;

export class StorageCalls {
  readonly #request: FiledBackup__Output;
  readonly #caller = new CallWaiter<BackupCall>();
  #lists: ListsCall | undefined;
  #link: BackupLink | undefined;
  #release: () => void = () => undefined;
  readonly #released = new Promise<void>((resolve) => {
    this.#release = resolve;
  });

  constructor(request: FiledBackup__Output) {
    this.#request = request;
  }

  /** @throws BackupError PEER_TIMEOUT, the signal's reason */
  wait(signal: AbortSignal): Promise<BackupCall> {
    const { storage, waitForStorageSec } = this.#request;
    return this.#caller.wait(storage, (waitForStorageSec || DEFAULT_WAIT_SEC) * 1000, signal);
  }

  /**
   * Takes storaged's stream; resolves when the job needs it no longer.
   * @throws BackupError when this caller or its `start` is not what the director announced, or it comes out of turn.
   */
  async serve(call: BackupCall, peer: Peer, own: ProtocolVersion | undefined): Promise<void> {
    const { jobId } = this.#request;
    checkCall(this.#request, call.start, peer, own);
    if (!this.#caller.waits)
      throw new BackupError("NOT_READY", `JobId ${jobId} does not wait for a storage daemon`);
    this.#caller.take(call);
    await this.#released;
  }

  /** The same for the call with the lists, which may come before the other or behind it. */
  async serveLists(call: ListsCall, ticket: string, peer: Peer): Promise<void> {
    const { jobId } = this.#request;
    checkCaller(this.#request, ticket, peer);
    if (this.#lists !== undefined)
      throw new BackupError("NOT_READY", `JobId ${jobId} does not wait for more lists`);
    this.#lists = call;
    this.#readLists();
    await this.#released;
  }

  /** The job's stream is taken: lists that come apart go here. */
  attach(link: BackupLink): void {
    this.#link = link;
    this.#readLists();
  }

  #readLists(): void {
    if (this.#link?.start.listsApart === true && this.#lists !== undefined)
      void this.#link.readLists(this.#lists);
  }

  /** The job needs none of the calls any more. Idempotent. */
  release(): void {
    this.#release();
  }
}
