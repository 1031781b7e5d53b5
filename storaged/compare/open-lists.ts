/** Lists of finished runs on a comparison's own connection. */

import { LayerQueries } from "../catalog/layers.js";
import { Lists } from "../catalog/lists.js";
import type { OverlayCursor } from "../catalog/overlay.js";
import type { Db } from "../catalog/schema.js";

export class OpenLists {
  readonly #lists: Lists;
  readonly #layers: LayerQueries;

  constructor(db: Db) {
    this.#lists = new Lists(db);
    this.#layers = new LayerQueries(db);
  }

  /** The effective list of one run. @throws BackupError NOT_FOUND, LIST_DROPPED */
  effective(jobId: number): OverlayCursor {
    return this.#lists.overlay(this.#layers.effective(this.#layers.local(jobId)).jobs);
  }

  /** Several effective lists as one, the topmost first. */
  over(jobIds: readonly number[]): OverlayCursor {
    const layers = jobIds.flatMap((jobId) => this.#layers.effective(this.#layers.local(jobId)).jobs);
    return this.#lists.overlay(layers);
  }
}
