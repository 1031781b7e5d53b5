/** Lists on their way to filed: a block only where filed gave credit for one. */

import { BackupKind, encodeList, type ListInfo } from "../../proto/data/backup.js";
import type { DataStream } from "../../proto/rpc.js";
import type { Catalog } from "../catalog/catalog.js";
import type { BegunJob, ListSource, Splice, StoredLevel } from "../catalog/types.js";
import { violation } from "../catalog/writer-context.js";
import { sendOrBreak } from "./send-or-break.js";

/** What is announced to filed, and where each list comes from. */
export interface ListPlan {
  lists: ListInfo[];
  /** `effective`: what must still be the layers when the list is opened; left out for what the job itself holds. */
  sources: {
    layers: number[];
    stateOf: number | undefined;
    effective?: number[];
    splice?: Splice | undefined;
  }[];
  ownIsParent: boolean;
}

/**
 * Which lists a job needs. Full and Base: the own list vouches, the Bases are compared with; a reference machine's also
 * gets the Base in force. Differential and
 * Incremental: rows are written against their chain; when its newest run is also the one that vouches, one list does
 * both.
 */
export function planLists(job: BegunJob, level: StoredLevel): ListPlan {
  const plan: ListPlan = { lists: [], sources: [], ownIsParent: false };
  const add = (role: ListInfo["role"], source: ListSource, stateOf?: number) => {
    plan.lists.push({ role, jobId: source.jobId });
    plan.sources.push({ layers: source.layers, stateOf, splice: source.spliced });
  };
  const partial = level === "Incremental" || level === "Differential";
  if (job.own !== undefined) add("own", job.own, job.own.layers[0]);
  if (partial) {
    plan.ownIsParent = job.own !== undefined && job.own.layers[0] === job.chain?.layers[0];
    if (!plan.ownIsParent && job.chain !== undefined) add("parent", job.chain);
  } else {
    for (const base of job.bases) add("base", base);
  }
  if (job.compared !== undefined) add("compared", job.compared);
  return plan;
}

const MAX_CREDITS = 1024;

interface Sending {
  blocks: AsyncGenerator<Buffer, void>;
  credits: number;
  running: boolean;
  done: boolean;
}

export class ListSender {
  readonly #stream: DataStream;
  readonly #lists: Sending[];
  readonly #onError: (error: unknown) => void;

  constructor(catalog: Catalog, plan: ListPlan, stream: DataStream, onError: (error: unknown) => void) {
    this.#stream = stream;
    this.#onError = onError;
    this.#lists = plan.sources.map(({ layers, stateOf, effective, splice }) => ({
      blocks: catalog.blocks(layers, stateOf, effective, splice),
      credits: 0,
      running: false,
      done: false,
    }));
  }

  /** @throws BackupError PROTOCOL_VIOLATION */
  credit(list: number, count: number): void {
    const sending = this.#lists[list];
    if (sending === undefined) throw violation("credit for a list that does not exist");
    sending.credits += count;
    if (sending.credits > MAX_CREDITS) throw violation("too much credit for a list");
    if (!sending.running && !sending.done) void this.#send(sending, list).catch(this.#onError);
  }

  async #send(sending: Sending, list: number): Promise<void> {
    sending.running = true;
    try {
      while (sending.credits > 0 && !sending.done) {
        const { value, done } = await sending.blocks.next();
        if (done === true) sending.done = true;
        else sending.credits--;
        const kind = done === true ? BackupKind.listEnd : BackupKind.listBlock;
        if (!(await sendOrBreak(this.#stream, encodeList(kind, list, value ?? undefined)))) return;
      }
    } finally {
      sending.running = false;
    }
  }

  /** Every list was sent to its end, or needs to be sent no more. */
  get done(): boolean {
    return this.#lists.every(({ done }) => done);
  }

  /** Closes what is still being read. */
  async close(): Promise<void> {
    for (const sending of this.#lists) {
      sending.done = true;
      await sending.blocks.return();
    }
  }
}
