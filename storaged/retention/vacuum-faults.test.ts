import assert from "node:assert/strict";
import { test } from "node:test";
import { enumerate, type Scenario } from "../faults/enumerate.js";
import { nearRetention } from "../faults/near-vacuum.js";
import type { Play } from "../faults/play.js";
import { at, ModelTree, noise } from "../faults/tree.js";

function tree(from: number, to: number): ModelTree {
  const made = new ModelTree();
  for (let i = from; i < to; i++) made.file(at(`d/file${i}`), noise(i, 2000));
  return made;
}

/** A reference that is gone but for what a Full and an Incremental share with it. */
async function shared(play: Play): Promise<void> {
  const { deleter } = play.daemon;
  const gone = await play.mustBackUp(tree(0, 6), { jobName: "gone", filesPerFrame: 6 });
  await play.mustBackUp(tree(5, 7), { jobName: "vm", filesPerFrame: 1 });
  await play.mustBackUp(tree(5, 8), { jobName: "vm", level: "Incremental", filesPerFrame: 1 });
  const jobs = (await play.daemon.goodJobs()).filter(({ jobId }) => jobId === gone);
  await deleter.delete(jobs.map(({ id }) => id));
  play.ledger.set(gone, "gone");
}

const vacuum: Scenario = {
  name: "vacuum of all volumes",
  prepare: shared,
  run: async (play) =>
    void (await nearRetention(play.daemon)
      .vacuum()
      .catch(() => undefined)),
};

test("every step of a vacuum can be the last one, or fail", async (t) => {
  const { steps, images, faults, problems } = await enumerate(vacuum);
  t.diagnostic(`${steps} steps, ${images} crash images, ${faults} failures`);
  assert.equal(problems.length, 0, `${problems.length} problems:\n${problems.slice(0, 8).join("\n\n")}`);
  assert.ok(steps > 10 && images > 10 && faults > 10);
});
