import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf } from "../../common/errors.js";
import { markFrame } from "../check/frame-marks.js";
import { filesOf } from "../faults/disk.js";
import { type NearRetention, nearRetention } from "../faults/near-vacuum.js";
import { Play } from "../faults/play.js";
import { verifyRescan } from "../faults/rescan.js";
import { at, largeContent, ModelTree, noise } from "../faults/tree.js";
import { Reporter } from "../session/reporter.js";
import { POOL } from "../session/testing.js";

const SIGNAL = new AbortController().signal;
const quiet = new Reporter(async () => undefined);

async function played(work: (play: Play, near: NearRetention) => Promise<void>): Promise<void> {
  const play = await new Play({ pools: [POOL] }).start();
  try {
    await work(play, nearRetention(play.daemon));
  } finally {
    await play.end();
  }
}

/** A Full, and an Incremental that lacks one of its files; the number of the latter, and its tree. */
async function chain(play: Play): Promise<{ newest: number; tree: ModelTree }> {
  const tree = new ModelTree().file(at("a"), "aaa").file(at("b"), "bbb").file(at("c"), "ccc");
  await play.mustBackUp(tree);
  const newest = await play.mustBackUp(tree.remove(at("b")), { level: "Incremental" });
  return { newest, tree };
}

test("a run whose parent is rebased between the director's question and its begin gets nothing back that was deleted", () =>
  played(async (play, { retention }) => {
    const { newest, tree } = await chain(play);
    let rebased = false;
    play.daemon.beforeCall = async (method) => {
      if (method !== "begin" || rebased) return;
      rebased = true;
      await retention.rebase([newest], quiet, SIGNAL);
    };
    await play.mustBackUp(tree.file(at("d"), "ddd"), { level: "Incremental" });
    assert.ok(rebased);
    await play.verify();
    await verifyRescan(filesOf(play.daemon.store), play.ledger, [POOL]);
  }));

test("a restore of JobIds that do not lie over each other any more is refused, not made of both", () =>
  played(async (play, { retention }) => {
    const { newest } = await chain(play);
    const before = (await play.daemon.goodJobs()).find(({ jobId }) => jobId === newest)!;
    await retention.rebase([newest], quiet, SIGNAL);
    await assert.rejects(play.daemon.restoreListed(before), (error) => codeOf(error) === "LISTS_CHANGED");
    await play.verify();
  }));

test("damaged content does not keep a list from being rebased; what is left of its file stays needed", () =>
  played(async (play, { retention }) => {
    const { db, catalog } = play.daemon;
    const large = largeContent(3);
    const tree = new ModelTree().file(at("a"), noise(1, 3000)).file(at("b"), large).file(at("c"), "ccc");
    const full = await play.mustBackUp(tree, { filesPerFrame: 1 });
    const newest = await play.mustBackUp(tree.remove(at("c")), { level: "Incremental" });
    const frames = db
      .prepare("SELECT DISTINCT frame FROM chunk WHERE length > 1000")
      .pluck()
      .all() as number[];
    assert.ok(frames.length > 2);
    const some = [frames[0]!, frames.at(-1)!];
    for (const frame of some) await markFrame(catalog, frame, true);
    // One chunk is nowhere at all.
    db.prepare("UPDATE chunk SET frame = 0, offset = 0 WHERE frame = ?").run(frames[0]!);
    const order = { client: "", jobName: "", volume: "", dry: false, rebase: true, jobIds: [full] };
    const { refused, messages } = await retention.purgeJobs(order, SIGNAL);
    assert.equal(refused, false, messages.join());
    play.ledger.set(full, "gone");
    const [left] = await play.daemon.goodJobs();
    assert.deepEqual([left!.jobId, left!.level, left!.chain], [newest, "Full", []]);
    const needs = db.prepare("SELECT sum(chunks) FROM job_need").pluck().get() as number;
    assert.equal(needs, frames.length - 1);
    // The next run meets the damage and stores the content anew.
    await markFrame(catalog, some[1]!, true);
    await play.mustBackUp(tree, { level: "Incremental" });
    await play.verify();
  }));
