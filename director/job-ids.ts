/**
 * Where JobIds begin. A director with an empty database may stand before storage daemons that know jobs: no JobId is
 * handed out before each of them has said which is its highest, so that none is ever used twice. What they know of runs
 * becomes the director's history.
 */

import { BackupError, describeError } from "../common/errors.js";
import type { NextJobIdReply__Output as NextJobIdReply } from "../proto/generated/basalt/v1/NextJobIdReply.js";
import type { DirectorConfig } from "./config/types.js";
import type { Daemons } from "./daemons/daemons.js";
import type { DirectorDb } from "./db/database.js";
import { type Learnt, learnHistory, linkCopies } from "./recover-history.js";

const CONNECT_MS = 15_000;

export class JobIds {
  readonly #db: DirectorDb;
  readonly #daemons: Daemons;
  readonly #config: () => DirectorConfig;
  #asking: Promise<void> | undefined;

  constructor(db: DirectorDb, daemons: Daemons, config: () => DirectorConfig) {
    this.#db = db;
    this.#daemons = daemons;
    this.#config = config;
  }

  /** Resolves when JobIds may be handed out. @throws BackupError JOBID_UNKNOWN */
  async ready(isEnabled: (storage: string) => boolean): Promise<void> {
    if (this.#db.jobs.started) return;
    this.#asking ??= this.#ask(isEnabled).finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  async #ask(isEnabled: (storage: string) => boolean): Promise<void> {
    const names = [...this.#config().storages.keys()].filter(isEnabled);
    const answers = await Promise.all(names.map((name) => this.#highest(name)));
    for (const { learnt } of answers) linkCopies(this.#db, learnt);
    this.#db.jobs.startAfter(Math.max(0, ...answers.map(({ highest }) => highest)));
  }

  async #highest(storage: string): Promise<{ highest: number; learnt: Learnt }> {
    try {
      const channel = await this.#daemons.storaged(storage, { timeoutMs: CONNECT_MS });
      const reply = await channel.unary<NextJobIdReply>("Storaged", "NextJobId", {});
      // A storage without jobs has no history either.
      const learnt =
        reply.highest > 0 ? await learnHistory(this.#db, channel, storage) : { runs: 0, copies: [] };
      return { highest: reply.highest, learnt };
    } catch (cause) {
      const why = describeError(cause);
      const message =
        `the director's database is new, and Storage "${storage}" cannot be asked for the highest JobId it knows ` +
        `(${why}). Start its daemon, or disable the Storage if it is gone for good.`;
      throw new BackupError("JOBID_UNKNOWN", message, { cause, retry: "later" });
    }
  }
}
