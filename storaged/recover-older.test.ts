import assert from "node:assert/strict";
import { test } from "node:test";
import { Disk, filesOf, wholeImage } from "./faults/disk.js";
import { nearRetention } from "./faults/near-vacuum.js";
import { Play } from "./faults/play.js";
import { verifyRescan } from "./faults/rescan.js";
import { at, ModelTree, noise } from "./faults/tree.js";
import { POOL } from "./session/testing.js";

const POOLS = [{ ...POOL, maximumVolumeBytes: 30_000, recycle: true }];
const SIGNAL = new AbortController().signal;

function tree(from: number, to: number): ModelTree {
  const made = new ModelTree();
  for (let i = from; i < to; i++) made.file(at(`f${i}`), noise(i, 4000));
  return made;
}

/** A play with a volume that holds content of a deleted job only, and one that is appended to. */
async function prepared(): Promise<Play> {
  const play = await new Play({ pools: POOLS }).start();
  const old = await play.mustBackUp(tree(0, 9), { jobName: "old", filesPerFrame: 1 });
  await play.mustBackUp(tree(0, 1).file(at("own"), "own"), { jobName: "vm" });
  const [job] = (await play.daemon.goodJobs()).filter(({ jobId }) => jobId === old);
  await play.daemon.deleter.delete([job!.id]);
  play.ledger.set(old, "gone");
  return play;
}

/** Starts over the volumes as they are with a catalog as it was: every job must be found on the volumes afterwards. */
async function startsWithOldCatalog(play: Play, before: ReturnType<typeof wholeImage>): Promise<void> {
  const volumes = filesOf(play.daemon.store);
  const disk = new Disk({ ...before, name: "older catalog", volumes });
  const again = new Play({ pools: POOLS, disk });
  try {
    await again.start();
    await verifyRescan(filesOf(again.daemon.store), play.ledger, POOLS);
  } finally {
    await again.end();
  }
}

test("a catalog from before a vacuum does not cut off what was moved since", async () => {
  const play = await prepared();
  try {
    const near = nearRetention(play.daemon);
    const before = wholeImage(play.disk);
    const { volumes } = await near.vacuum({ volume: "Vol-0001" });
    assert.deepEqual(volumes, ["Vol-0001"]);
    await play.daemon.desk.admin.truncate("Vol-0001");
    await startsWithOldCatalog(play, before);
  } finally {
    await play.end();
  }
});

test("a catalog from before a rebase does not cut off the rewritten list", async () => {
  const play = await new Play({ pools: [POOL] }).start();
  try {
    const { retention } = nearRetention(play.daemon);
    const full = await play.mustBackUp(tree(0, 3));
    await play.mustBackUp(tree(1, 3), { level: "Incremental" });
    const before = wholeImage(play.disk);
    const order = { client: "", jobName: "", volume: "", dry: false, rebase: true, jobIds: [full] };
    assert.equal((await retention.purgeJobs(order, SIGNAL)).refused, false);
    play.ledger.set(full, "gone");
    const volumes = filesOf(play.daemon.store);
    await startsWithOldCatalog(play, before);
    await verifyRescan(volumes, play.ledger, [POOL]);
  } finally {
    await play.end();
  }
});
