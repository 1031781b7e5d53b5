/**
 * Where JobIds begin. A director with an empty database may stand before storage daemons that know jobs: no JobId is
 * handed out before each of them has said which is its highest, so that none is ever used twice. What they know of runs
 * becomes the director's history.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { BackupError, codeOf, describeError } from "../common/errors.js";
import type { NextJobIdReply__Output as NextJobIdReply } from "../proto/generated/basalt/v1/NextJobIdReply.js";
import type { DirectorConfig } from "./config/types.js";
import type { Daemons } from "./daemons/daemons.js";
import type { DirectorDb } from "./db/database.js";
import type { JobId, RunRequest } from "./job/request.js";
import type { MessageCenter } from "./messages/center.js";
import { type Learnt, learnHistory, linkCopies } from "./recover-history.js";

const CONNECT_MS = 15_000;
/** How long a schedule waits before it asks again. */
const RETRY_MS = 60_000;

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

/**
 * Starts a run of a schedule, which waits for JobIds as long as it takes; everything else is told at once.
 * @throws what `run` throws besides JOBID_UNKNOWN; AbortError once `signal` is aborted
 */
export async function whenNumbered(
  run: () => Promise<JobId>,
  request: RunRequest,
  messages: Pick<MessageCenter, "daemon">,
  signal: AbortSignal,
): Promise<JobId> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (codeOf(error) !== "JOBID_UNKNOWN") throw error;
      if (attempt === 0) messages.daemon("alert", `Job ${request.job} waits: ${describeError(error)}`);
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}
