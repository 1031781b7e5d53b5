import assert from "node:assert/strict";
import { test } from "node:test";
import { BACKUPS } from "./backup-scenarios.js";
import { INCOMPLETE } from "./incomplete-scenarios.js";
import { enumerateRestarts } from "./restarts.js";
import { RETENTION } from "./retention-scenarios.js";
import { VOLUME_SCENARIOS } from "./volume-scenarios.js";

/** Each leaves another thing for the next start to finish. */
const INTERRUPTED = [
  "an Incremental",
  "a Full with checkpoints",
  "a Full over several volumes",
  "two jobs interleaved on one volume",
  "deleting a Full and its Incremental",
  "a rebase away from a Base, and its deletion",
  "file lists that are dropped and read again",
  "a migration to another pool",
  "a vacuum of a volume that holds little",
  "a job on a recycled volume",
  "truncate",
  "relabel",
  "a purge that empties the volume and moves it to its RecyclePool",
];
const ALL = [...BACKUPS, ...INCOMPLETE, ...RETENTION, ...VOLUME_SCENARIOS];

for (const name of INTERRUPTED) {
  test(`every step of the start after: ${name}`, async (t) => {
    const scenario = ALL.find((one) => one.name === name);
    assert.ok(scenario !== undefined, "there is no such scenario");
    const { steps, images, faults, problems } = await enumerateRestarts(scenario);
    t.diagnostic(`${steps} steps, ${images} crash images, ${faults} failures`);
    assert.equal(problems.length, 0, `${problems.length} problems:\n${problems.slice(0, 8).join("\n\n")}`);
    assert.ok(images > 0 && faults > 0, "nothing was tried");
  });
}
