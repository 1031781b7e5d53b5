/**
 * Ending worker threads. `Worker.terminate` is never used on a thread that calls native code: if it strikes while
 * koffi's module is being loaded there, the whole process aborts. A thread is asked to leave instead.
 */
import type { Worker } from "node:worker_threads";

/** How long a thread may need for the unit in its hands; one that hangs in a system call could not be ended anyway. */
const EXIT_TIMEOUT_MS = 10_000;

/**
 * Posts `request`, on which the thread closes its port, and waits until it has ended. A thread that does not answer
 * is left alone and keeps nothing alive. Resolves at once for a thread that is gone.
 */
export async function endWorker(worker: Worker, request: unknown): Promise<void> {
  if (worker.threadId === -1) return;
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    worker.once("exit", () => resolve());
    timer = setTimeout(resolve, EXIT_TIMEOUT_MS);
    worker.postMessage(request);
  });
  clearTimeout(timer);
  worker.unref();
}
