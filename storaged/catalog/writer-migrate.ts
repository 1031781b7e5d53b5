/** A migrated job takes the place of its original; on the writing thread. */

import { BackupError } from "../../common/errors.js";
import { type Db, durably } from "./schema.js";
import type { LocalJob } from "./types.js";

export class MigrateStore {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * In one durable step: what lay over the original lies over its copy, which counts from now on; the original
   * counts no more and can be deleted. Both lists are equal. Doing it again changes nothing.
   * @throws BackupError NOT_FOUND when the copy is not there, or is no copy of that job
   */
  takePlace(copyUuid: string, originalUuid: string): { original: LocalJob | undefined; dependants: number } {
    return durably(this.#db, () => {
      const copy = this.#db
        .prepare<[string, string], number>(
          "SELECT id FROM job WHERE uuid = ? AND copy_of = ? AND status IN ('T', 'W')",
        )
        .pluck()
        .get(copyUuid, originalUuid);
      if (copy === undefined) throw new BackupError("NOT_FOUND", "the migrated job is not in the catalog");
      this.#db.prepare("UPDATE job SET type = 'B' WHERE id = ?").run(copy);
      const original = this.#db
        .prepare<[string], number>("SELECT id FROM job WHERE uuid = ?")
        .pluck()
        .get(originalUuid);
      if (original === undefined) return { original, dependants: 0 };
      const above = this.#db
        .prepare("UPDATE job_parent SET parent = ? WHERE parent = ?")
        .run(copy, original).changes;
      const full = this.#db
        .prepare("UPDATE job_base SET base_job = ? WHERE base_job = ?")
        .run(copy, original).changes;
      this.#db.prepare("UPDATE job SET type = 'M' WHERE id = ? AND status IN ('T', 'W')").run(original);
      return { original, dependants: above + full };
    });
  }

  /** Originals whose place was taken and that are still there. */
  migratedAway(): LocalJob[] {
    return this.#db
      .prepare<[], number>("SELECT id FROM job WHERE type = 'M' AND status IN ('T', 'W') ORDER BY id DESC")
      .pluck()
      .all();
  }
}

/** A job is being deleted: its newest copy in this catalog takes its place. Within the caller's transaction. */
export function promoteCopyOf(db: Db, job: LocalJob): void {
  db.prepare(
    `UPDATE job SET type = 'B' WHERE type = 'C' AND status IN ('T', 'W') AND id =
     (SELECT max(c.id) FROM job c JOIN job o ON c.copy_of = o.uuid
      WHERE o.id = @job AND o.type = 'B' AND c.status IN ('T', 'W'))`,
  ).run({ job });
}
