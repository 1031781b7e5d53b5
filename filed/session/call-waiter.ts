/** Waiting for storaged's call, and for things that must not hold a job up for long. */
import { BackupError } from "../../common/errors.js";

export class CallWaiter<Call> {
  #onCall: ((call: Call) => void) | undefined;

  /** True while somebody waits. */
  get waits(): boolean {
    return this.#onCall !== undefined;
  }

  take(call: Call): void {
    this.#onCall?.(call);
  }

  /** @throws BackupError PEER_TIMEOUT, the signal's reason */
  wait(storage: string, timeoutMs: number, signal: AbortSignal): Promise<Call> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        this.#onCall = undefined;
      };
      const onAbort = (): void => {
        stop();
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        stop();
        const text = `storage "${storage}" did not call within ${timeoutMs / 1000} seconds`;
        reject(new BackupError("PEER_TIMEOUT", text));
      }, timeoutMs);
      if (signal.aborted) return onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      this.#onCall = (call) => {
        stop();
        resolve(call);
      };
    });
  }
}
