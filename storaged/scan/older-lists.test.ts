import assert from "node:assert/strict";
import { test } from "node:test";
import { filesOf, VOLUMES } from "../faults/disk.js";
import { nearRetention } from "../faults/near-vacuum.js";
import { Play } from "../faults/play.js";
import { verifyRescan } from "../faults/rescan.js";
import { at, ModelTree } from "../faults/tree.js";
import { Reporter } from "../session/reporter.js";
import { POOL } from "../session/testing.js";

const SIGNAL = new AbortController().signal;
const quiet = new Reporter(async () => undefined);

/** A chain of two, the newer of which is rebased while another job writes to the same volume. */
async function rebasedMeanwhile(play: Play, rebase: (newest: number) => Promise<void>): Promise<void> {
  const tree = new ModelTree().file(at("a"), "aaa").file(at("b"), "bbb").file(at("c"), "ccc");
  await play.mustBackUp(tree);
  const newest = await play.mustBackUp(tree.remove(at("b")), { level: "Incremental" });
  let messages = 0;
  const beforeSend = async () => {
    if (++messages === 2) await rebase(newest);
  };
  await play.mustBackUp(new ModelTree().file(at("o"), "other"), { jobName: "other", beforeSend });
}

/** Overwrites one byte of every piece of a manifest's second revision. */
function damageRewritten(
  files: ReadonlyMap<string, Buffer>,
  frames: { offset: number; bytes: number }[],
): Map<string, Buffer> {
  const [path, content] = [...files].find(([name]) => name.startsWith(VOLUMES))!;
  const copy = Buffer.from(content);
  for (const { offset, bytes } of frames) copy[offset + bytes - 3]! ^= 0x55;
  return new Map([...files, [path, copy]]);
}

for (const given of ["up", "effect"]) {
  test(`a rewritten list that cannot be read gives way to the one before it (the rewrite was given ${given})`, async () => {
    const play = await new Play({ pools: [POOL] }).start();
    try {
      const { retention } = nearRetention(play.daemon);
      const { db } = play.daemon;
      let frames: { offset: number; bytes: number }[] = [];
      const known = () =>
        db.prepare("SELECT id, offset, bytes FROM frame").all() as {
          id: number;
          offset: number;
          bytes: number;
        }[];
      await rebasedMeanwhile(play, async (newest) => {
        const before = new Set(known().map(({ id }) => id));
        play.daemon.beforeCall = async (method) => {
          if (method !== "commitRewrite") return;
          frames = known().filter(({ id }) => !before.has(id));
          if (given === "up") throw new Error("given up");
        };
        const work = retention.rebase([newest], quiet, SIGNAL);
        await (given === "up" ? assert.rejects(work, /given up/) : work);
      });
      assert.ok(frames.length > 0);
      await play.verify();
      const files = filesOf(play.daemon.store);
      await verifyRescan(files, play.ledger, [POOL]);
      await verifyRescan(damageRewritten(files, frames), play.ledger, [POOL]);
    } finally {
      await play.end();
    }
  });
}
