import assert from "node:assert/strict";
import { test } from "node:test";
import { Play } from "../faults/play.js";
import { at, ModelTree, noise } from "../faults/tree.js";
import { POOL } from "../session/testing.js";

const SINGLE = { ...POOL, maximumVolumeJobs: 1 };
const tree = (seed: number) => new ModelTree().file(at("a"), noise(seed, 3000)).file(at("b"), `b ${seed}`);

/** Job 1, whose list is on Vol-0001 only, and job 2. */
async function staged(work: (play: Play) => Promise<void>): Promise<void> {
  const play = await new Play({ pools: [SINGLE] }).start();
  try {
    await play.mustBackUp(tree(1));
    await play.mustBackUp(tree(2));
    const { pruned } = await play.daemon.operations.purgeFiles([1]);
    assert.equal(pruned, 1);
    await work(play);
  } finally {
    await play.end();
  }
}

/** Flips a byte of the first or last frame of job 1. */
function damage({ daemon }: Play, order: "ASC" | "DESC"): void {
  const [path] = daemon.store.paths().filter((name) => name.endsWith("Vol-0001"));
  const bytes = Buffer.from(daemon.store.contents(path!));
  const { offset, bytes: length } = daemon.db
    .prepare<[], { offset: number; bytes: number }>(
      `SELECT offset, bytes FROM frame WHERE job = 1 ORDER BY id ${order} LIMIT 1`,
    )
    .get()!;
  bytes[offset + length - 10]! ^= 1;
  daemon.store.place(path!, bytes);
}

const dropped = async ({ daemon }: Play) => (await daemon.goodJobs()).map(({ listDropped }) => listDropped);

test("a check without damage leaves dropped lists where they are", () =>
  staged(async (play) => {
    assert.deepEqual(await play.daemon.operations.check(false), []);
    assert.deepEqual(await dropped(play), [true, false]);
  }));

test("when content is damaged, lost files are named from lists that are read again for it", () =>
  staged(async (play) => {
    damage(play, "ASC");
    const found = await play.daemon.operations.check(false);
    assert.ok(found.some(({ path, jobIds }) => path !== "" && jobIds.includes(1)));
    assert.deepEqual(await dropped(play), [false, false]);
  }));

test("a dropped list whose manifest is damaged is a finding of its own", () =>
  staged(async (play) => {
    damage(play, "DESC");
    const found = await play.daemon.operations.check(false);
    assert.ok(
      found.some(
        ({ kind, text }) => kind === "damaged" && /manifest of JobId 1 on Volume "Vol-0001"/.test(text),
      ),
      found.map(({ text }) => text).join("\n"),
    );
    assert.deepEqual(await dropped(play), [true, false]);
  }));
