import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { Row } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { setClock } from "../../common/time.js";
import { type NearRetention, nearRetention } from "../faults/near-vacuum.js";
import { Play } from "../faults/play.js";
import { at, ModelTree, noise } from "../faults/tree.js";
import { POOL } from "../session/testing.js";
import type { PruneOrder, PurgeOrder, RetentionOutcome } from "./orders.js";

const DAY = 86_400;
const NOW = Date.UTC(2026, 9, 1, 12);
const SIGNAL = new AbortController().signal;
const RULE = {
  jobName: "",
  client: "",
  pool: "",
  jobRetention: 0,
  fileRetention: 10 * DAY,
  consolidate: false,
};
const PRUNE: PruneOrder = {
  ...{ kind: "files", client: "", jobName: "", pool: "", volume: "", dry: false, rules: [RULE] },
  zone: { timeZone: "UTC", utcOffsetMinutes: 0 },
};
const PURGE: PurgeOrder = { jobIds: [], client: "", jobName: "", volume: "", rebase: false, dry: false };
/** One job a volume. */
const SINGLE = { ...POOL, maximumVolumeJobs: 1 };

const day = (number: number) => setClock(() => NOW + number * DAY * 1000);
afterEach(() => setClock());

const tree = (seed: number) =>
  new ModelTree()
    .file(at("etc/a"), `a ${seed}`)
    .file(at("b"), noise(seed, 2000))
    .file(at("big"), noise(7, 3_000_000));

/** A Full (1), an Incremental on it (2), a younger Full (3); then eleven days pass since the first two. */
async function staged(work: (play: Play, near: NearRetention) => Promise<void>): Promise<void> {
  day(0);
  const play = await new Play({ pools: [SINGLE] }).start();
  try {
    await play.mustBackUp(tree(1));
    await play.mustBackUp(tree(1).file(at("c"), "c"), { level: "Incremental" });
    day(8);
    await play.mustBackUp(tree(2));
    day(11);
    await work(play, nearRetention(play.daemon));
  } finally {
    await play.end();
  }
}

const told = ({ decisions }: RetentionOutcome) =>
  decisions.map(({ job, action, reason }) => `${job.jobId} ${action}: ${reason}`);

async function dropped({ daemon }: Play): Promise<number[]> {
  return (await daemon.goodJobs()).filter((job) => job.listDropped).map(({ jobId }) => jobId);
}

function rowsOf({ daemon }: Play, jobId: number): Row[] {
  const blocks = daemon.db
    .prepare<[number], Buffer>(
      "SELECT b.data FROM list_in_force b JOIN job j ON j.id = b.job WHERE j.job_id = ? ORDER BY b.first_key",
    )
    .pluck();
  return blocks.all(jobId).flatMap((block) => decodeBlock(block));
}

test("lists whose time is up go, their runs stay, and come back equal when a restore needs them", () =>
  staged(async (play, { retention }) => {
    const before = [1, 2, 3].map((jobId) => rowsOf(play, jobId));
    const outcome = await retention.prune(PRUNE, SIGNAL);
    assert.deepEqual(told(outcome), [
      "1 files: goes: ended 2026-10-01, File Retention = 10 days",
      "2 files: goes: ended 2026-10-01, File Retention = 10 days",
      "3 keep: kept: younger than File Retention = 10 days",
    ]);
    assert.equal(outcome.pruned, 2);
    assert.deepEqual(await dropped(play), [1, 2]);
    assert.deepEqual([rowsOf(play, 1), rowsOf(play, 2)], [[], []]);
    await play.verifyNothingLeft();
    const again = await retention.prune(PRUNE, SIGNAL);
    assert.equal(again.pruned, 0);
    await play.verify();
    assert.deepEqual(await dropped(play), []);
    assert.deepEqual(
      [1, 2, 3].map((jobId) => rowsOf(play, jobId)),
      before,
    );
    await play.verifyNothingLeft();
  }));

test("whoever reads a list that is not there is told so, and never sees an empty one", () =>
  staged(async (play, { retention }) => {
    await retention.prune(PRUNE, SIGNAL);
    const { catalog } = play.daemon;
    const [first] = await catalog.reader.listsOf([1]);
    await assert.rejects(async () => {
      for await (const _block of catalog.blocks([first!, first!]));
    }, /the file list of JobId 1 is not in the catalog now/);
    const query = { ownRows: false, deleted: false, directory: "", children: true, limit: 0, rules: [] };
    const entries = { ...query, jobIds: [2], after: undefined, baseOnly: false };
    await assert.rejects(catalog.reader.openEntries(entries), { code: "LIST_DROPPED" });
    const names = await catalog.withListsOf([2], async () => {
      const handle = await catalog.reader.openEntries(entries);
      return (await catalog.reader.nextEntries(handle))!.map(({ key }) => key);
    });
    assert.deepEqual(names, ["b", "big", "c", "etc"]);
  }));

test("purge of lists: the newest run's stays, and what a list lies over; the rest goes whatever its age", () =>
  staged(async (play, { retention }) => {
    const refused = await retention.purgeFiles({ ...PURGE, jobIds: [1] }, SIGNAL);
    assert.equal(refused.refused, true);
    assert.deepEqual(told(refused), ["1 refused: Incremental JobId 2 lies over its list"]);
    const newest = await retention.purgeFiles({ ...PURGE, jobIds: [3] }, SIGNAL);
    assert.deepEqual(told(newest), ["3 refused: newest good run of its job"]);
    const done = await retention.purgeFiles({ ...PURGE, client: "vm-fd" }, SIGNAL);
    assert.deepEqual([done.refused, done.pruned], [false, 2]);
    assert.deepEqual(done.messages, ["JobId 3 keeps its file list: newest good run of its job."]);
    assert.deepEqual(await dropped(play), [1, 2]);
    const again = await retention.purgeFiles({ ...PURGE, jobIds: [2, 9] }, SIGNAL);
    assert.deepEqual(again.messages, [
      "Files of JobId 2 were purged before.",
      "JobId 9 has no file list on this storage.",
    ]);
    await play.verify();
  }));

test("a list stays while it is read, and when its manifest cannot be read again", () =>
  staged(async (play, { retention }) => {
    const { catalog, store } = play.daemon;
    const outcome = await catalog.withListsOf([2], () => retention.prune(PRUNE, SIGNAL));
    assert.deepEqual(told(outcome).slice(0, 2), [
      "1 keep: kept: its list is being read",
      "2 keep: kept: its list is being read",
    ]);
    const volume = [...store.paths()].find((path) => path.endsWith("Vol-0002"))!;
    const bytes = store.contents(volume);
    const place = play.daemon.db
      .prepare<[], { offset: number; bytes: number }>(
        "SELECT f.offset, f.bytes FROM frame f JOIN job j ON j.id = f.job WHERE j.job_id = 2 ORDER BY f.id DESC",
      )
      .get()!;
    const garbled = Buffer.from(bytes);
    garbled.write("garbled", place.offset + place.bytes - 20);
    store.place(volume, garbled);
    const [, second] = told(await retention.prune(PRUNE, SIGNAL));
    assert.match(second!, /^2 keep: kept: the manifest of JobId 2 on Volume "Vol-0002" cannot be read, so/);
    store.place(volume, bytes);
    assert.deepEqual(await dropped(play), []);
    await play.verify();
  }));

test("a dropped list whose manifest was damaged since is an error that names the volume", () =>
  staged(async (play, { retention }) => {
    await retention.prune(PRUNE, SIGNAL);
    const { store } = play.daemon;
    await store.unlink([...store.paths()].find((path) => path.endsWith("Vol-0002"))!);
    const [second] = (await play.daemon.goodJobs()).filter(({ jobId }) => jobId === 2);
    await assert.rejects(play.daemon.restoreListed(second!), (error: Error) => {
      assert.match(error.message, /the manifest of JobId 2 on Volume "Vol-0002" is needed for its list/);
      return true;
    });
    assert.deepEqual(await dropped(play), [2]);
  }));

test("backups, rebase, vacuum and VirtualFull bring back the lists that they read", () =>
  staged(async (play, { retention, vacuum }) => {
    await retention.prune(PRUNE, SIGNAL);
    const purged = await retention.purgeJobs({ ...PURGE, jobIds: [3] }, SIGNAL);
    assert.equal(purged.pruned, 1);
    play.ledger.set(3, "gone");
    await play.mustBackUp(tree(3), { level: "Incremental" });
    assert.deepEqual(await dropped(play), []);
    await play.mustBackUp(tree(4));
    await retention.purgeFiles({ ...PURGE, client: "vm-fd" }, SIGNAL);
    assert.deepEqual(await dropped(play), [1, 2, 4]);
    const moved = await vacuum({ belowPercent: 101 });
    assert.ok(moved.frames > 0);
    await play.verify();
    await retention.purgeFiles({ ...PURGE, client: "vm-fd" }, SIGNAL);
    const gone = await retention.purgeJobs({ ...PURGE, jobIds: [1], rebase: true }, SIGNAL);
    assert.equal(gone.pruned, 1);
    play.ledger.set(1, "gone");
    await retention.purgeFiles({ ...PURGE, client: "vm-fd" }, SIGNAL);
    assert.ok((await dropped(play)).includes(2));
    await play.verify();
    await play.verifyNothingLeft();
  }));

test("a list that a running job works with stays; one that goes ends its readers with an error", () =>
  staged(async (play) => {
    const { daemon } = play;
    const { catalog } = daemon;
    const [third] = await catalog.reader.listsOf([3]);
    const told: (string | undefined)[] = [];
    daemon.beforeCall = (method) => {
      if (method !== "commit" || told.length > 0) return undefined;
      told.push("");
      return catalog.keeper!.drop(third!).then((why) => void told.push(why));
    };
    await play.mustBackUp(tree(5), { level: "Incremental" });
    assert.deepEqual(told, ["", "JobId 4, which is running, works with its list"]);
    assert.equal(await catalog.keeper!.drop(third!), "JobId 4 lies over its list");
    const [second] = await catalog.reader.listsOf([2]);
    const handle = await catalog.reader.openBlocks([second!]);
    assert.ok((await catalog.reader.nextBlock(handle)) !== undefined);
    assert.equal(await catalog.keeper!.drop(second!), undefined);
    await assert.rejects(catalog.reader.nextBlock(handle), { code: "LIST_DROPPED" });
    await play.verify();
  }));
