/** Work that is done beside each other, so much at a time. */

export class UnderWay {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Begins `work` as soon as there is room for it. @throws the first failure of what was begun before */
  async begin(work: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#limit) await Promise.race(this.#running);
    this.#check();
    // Kept until somebody asks: nobody may be waiting when it fails.
    const run = work()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Resolves when nothing is being done any more. @throws the first failure */
  async end(): Promise<void> {
    await this.settled();
    this.#check();
  }

  /** As `end`, whatever came of it. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
