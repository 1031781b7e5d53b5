import assert from "node:assert/strict";
import { test } from "node:test";
import { filesOf } from "../faults/disk.js";
import { nearRetention } from "../faults/near-vacuum.js";
import { Play } from "../faults/play.js";
import { verifyRescan } from "../faults/rescan.js";
import { at, ModelTree, noise } from "../faults/tree.js";
import { Reporter } from "../session/reporter.js";
import { POOL } from "../session/testing.js";

const SIGNAL = new AbortController().signal;
const OTHER = { ...POOL, name: "Other", labelFormat: "Other-" };
const quiet = new Reporter(async () => undefined);

/** A backup that stores content anew fails in the middle of a vacuum of its other copy. False: it has fewer messages. */
async function failsAt(step: number): Promise<boolean> {
  const play = await new Play({ pools: [POOL, OTHER] }).start();
  try {
    const near = nearRetention(play.daemon);
    const shared = noise(5, 3000);
    await play.mustBackUp(new ModelTree().file(at("c"), shared), { pool: "Other", jobName: "first" });
    const tree = new ModelTree().file(at("x"), noise(1, 3000));
    await play.mustBackUp(tree);
    // Its own list names content in both pools from now on.
    const newest = await play.mustBackUp(tree.file(at("c"), shared), { level: "Incremental", pool: "Other" });
    await near.retention.rebase([newest], quiet, SIGNAL);
    const [first] = (await play.daemon.goodJobs()).filter(({ jobName }) => jobName === "first");
    await play.daemon.deleter.delete([first!.id]);
    play.ledger.set(first!.jobId, "gone");
    let messages = 0;
    const beforeSend = async () => {
      if (++messages !== step) return;
      await near.vacuum({ pool: "Other" });
      throw new Error("the client is gone");
    };
    const again = new ModelTree().file(at("c"), shared).file(at("z"), noise(9, 5000));
    await play.backup(again, { jobName: "late", beforeSend, filesPerFrame: 1 });
    await play.verify();
    return messages >= step;
  } finally {
    await play.end();
  }
}

test("a vacuum never relies on a copy that a running job has stored", async () => {
  let step = 1;
  while (await failsAt(step)) step++;
  assert.ok(step > 4, `the job has ${step - 1} messages`);
});

for (const whole of [true, false]) {
  test(`a list that was rewritten stays in force when its job's frames follow it to the same volume (${whole ? "all" : "one"} of its old volumes)`, async () => {
    const pools = [{ ...POOL, maximumVolumeBytes: whole ? 60_000 : 20_000 }];
    const play = await new Play({ pools }).start();
    try {
      const near = nearRetention(play.daemon);
      const { catalog, desk, store } = play.daemon;
      const tree = new ModelTree();
      for (let i = 0; i < 6; i++) tree.file(at(`f${i}`), noise(i, 4000));
      const full = await play.mustBackUp(tree, { filesPerFrame: 1 });
      for (let i = 6; i < 9; i++) tree.file(at(`f${i}`), noise(i, 4000));
      await play.mustBackUp(tree.remove(at("f1")), { level: "Incremental", filesPerFrame: 1 });
      const old = await catalog.reader.listVolumes("", "");
      for (const { name } of old) await desk.admin.update(name, { status: "Used" });
      const order = { client: "", jobName: "", volume: "", dry: false, rebase: true, jobIds: [full] };
      assert.equal((await near.retention.purgeJobs(order, SIGNAL)).refused, false);
      play.ledger.set(full, "gone");
      for (const { name } of old) {
        await near.vacuum({ volume: name });
        await play.verify();
        await verifyRescan(filesOf(store), play.ledger, pools);
      }
    } finally {
      await play.end();
    }
  });
}

test("a volume that an operator took out of use while content was counted is left alone", async () => {
  const play = await new Play({ pools: [POOL] }).start();
  try {
    const near = nearRetention(play.daemon);
    const { catalog, desk } = play.daemon;
    await play.mustBackUp(new ModelTree().file(at("a"), noise(1, 3000)));
    let done = false;
    play.daemon.beforeCall = async (method) => {
      if (method !== "setLive" || done) return;
      done = true;
      await desk.admin.update("Vol-0001", { status: "Archive" });
    };
    const { messages } = await near.vacuum();
    assert.match(messages.join("\n"), /has changed since it was counted \(Archive\): left alone/);
    assert.equal((await catalog.reader.listVolumes("", "Vol-0001"))[0]!.status, "Archive");
    await play.verify();
  } finally {
    await play.end();
  }
});
