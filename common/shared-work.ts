/**
 * Work that several wait for at the same time and that is done once. Each may give up for itself; it is ended when nobody
 * waits any more.
 */

interface Running<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

export class SharedWork<T> {
  readonly #running = new Map<string, Running<T>>();

  /** Joins the work with that id, or begins it. @throws the signal's reason, and what the work throws */
  async join(id: string, begin: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const running = this.#running.get(id) ?? this.#start(id, begin);
    running.waiting += 1;
    let leave: () => void = () => undefined;
    const left = new Promise<never>((_resolve, reject) => {
      leave = () => reject(signal?.reason);
    });
    signal?.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([running.result, left]);
    } finally {
      signal?.removeEventListener("abort", leave);
      running.waiting -= 1;
      if (running.waiting === 0) this.#end(id, running);
    }
  }

  #start(id: string, begin: (signal: AbortSignal) => Promise<T>): Running<T> {
    const controller = new AbortController();
    const running = { result: begin(controller.signal), controller, waiting: 0 };
    this.#running.set(id, running);
    // Who joins later must find work that still runs.
    const done = (): void => this.#end(id, running);
    running.result.then(done, done);
    return running;
  }

  #end(id: string, running: Running<T>): void {
    if (this.#running.get(id) === running) this.#running.delete(id);
    running.controller.abort();
  }
}
