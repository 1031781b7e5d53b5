/**
 * A storage daemon and its machines in the middle of a random history. What must come of each step is known from
 * plain facts: the trees at the times of the backups, and who lies over whom.
 */

import assert from "node:assert/strict";
import { setClock } from "../../common/time.js";
import type { Random } from "../../test/helpers/random.js";
import type { JobListing } from "../catalog/types.js";
import { type Image, Moment } from "../faults/disk.js";
import { type Ledger, Play } from "../faults/play.js";
import type { ModelTree } from "../faults/tree.js";
import type { StoreStep } from "../store/memory-store.js";
import { firstMachines, POOLS } from "./machines.js";

/** The process ends here: whatever of it still runs is in vain. */
class Ended extends Error {}

interface Cut {
  moment: Moment;
  ledger: Ledger;
}

const STEP_SECONDS = 600;

export class World {
  readonly machines: ModelTree[] = firstMachines();
  #play: Play;
  /** Steps of durable I/O until the process ends; 0: it goes on. */
  #fuse = 0;
  #cut: Cut | undefined;
  #onEnd: () => void = () => undefined;
  #lastAppend = 0;
  #seconds = 1_700_000_000;

  constructor() {
    this.#play = this.#makePlay();
  }

  get play(): Play {
    return this.#play;
  }

  /** The time of the model, which every step moves on. */
  get seconds(): number {
    return this.#seconds;
  }

  async start(): Promise<this> {
    setClock(() => this.#seconds * 1000);
    await this.#play.start();
    return this;
  }

  async end(): Promise<void> {
    setClock();
    await this.#play.end();
  }

  tick(): void {
    this.#seconds += STEP_SECONDS;
  }

  #makePlay(image?: Image, ledger?: Ledger): Play {
    const before = (step: StoreStep) => this.#onStep(play, step);
    const play: Play = new Play({
      pools: POOLS,
      image,
      ledger,
      store: { before },
      beforeCommit: () => this.#onStep(play, undefined),
    });
    return play;
  }

  #onStep(play: Play, step: StoreStep | undefined): undefined {
    if (play !== this.#play || this.#cut !== undefined) throw new Ended("the process has ended");
    if (step?.operation === "open" || step?.operation === "read") return;
    if (this.#fuse > 0 && --this.#fuse === 0) {
      const moment = new Moment(play.disk, play.daemon.durableLog(), this.#lastAppend);
      this.#cut = { moment, ledger: play.ledger.copy() };
      this.#onEnd();
      throw new Ended("the process ends");
    }
    if (step?.operation === "append") this.#lastAppend = step.bytes;
  }

  /**
   * Runs `work`, and ends the process in the middle of it when it does as many as `fuse` steps of durable I/O; then
   * the daemon is started on what one sort of power cut leaves. Gives words for what happened.
   */
  async crashing(random: Random, fuse: number, work: () => Promise<string>): Promise<string> {
    this.#fuse = fuse;
    const ended = new Promise<string>((resolve) => {
      this.#onEnd = () => resolve("");
    });
    let text: string;
    try {
      text = await Promise.race([work(), ended]);
    } catch (error) {
      if (this.#cut === undefined) throw error;
      text = "";
    }
    this.#fuse = 0;
    if (this.#cut === undefined) return `${text} (before the crash)`;
    const image = random.pick(this.#cut.moment.images());
    await this.#restart(image, this.#cut.ledger);
    return `crash at step ${fuse}: ${image.name}`;
  }

  /** An orderly end and a new start. */
  async restart(): Promise<string> {
    const { moment, ledger } = this.#whole();
    await this.#restart(moment.images().at(-1)!, ledger);
    return "restart";
  }

  #whole(): Cut {
    const { disk, daemon, ledger } = this.#play;
    return { moment: new Moment(disk, daemon.durableLog(), 0), ledger: ledger.copy() };
  }

  async #restart(image: Image, ledger: Ledger): Promise<void> {
    const old = this.#play;
    this.#play = this.#makePlay(image, ledger);
    this.#cut = undefined;
    await old.end();
    await this.#play.start();
    await this.#play.verify([]);
    await this.#play.verifyNothingLeft();
  }

  /** Listings of all kept jobs, oldest first. */
  async kept(): Promise<JobListing[]> {
    const kept = new Set(this.#play.ledger.kept());
    const good = await this.#play.daemon.goodJobs();
    assert.deepEqual(
      good.map(({ jobId }) => jobId).filter((jobId) => !kept.has(jobId)),
      [],
    );
    assert.equal(
      good.length,
      kept.size,
      `kept ${[...kept].join()}, listed ${good.map((job) => job.jobId).join()}`,
    );
    return good;
  }

  /** Everything that must hold at the end of a history. */
  async verifyAll(): Promise<void> {
    await this.#play.verify();
    await this.restart();
    await this.#play.verify();
  }
}
