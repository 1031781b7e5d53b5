import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { filesOf, VOLUMES } from "../faults/disk.js";
import type { Wanted } from "../faults/near-daemon.js";
import { type NearRetention, nearRetention } from "../faults/near-vacuum.js";
import { Play } from "../faults/play.js";
import { verifyRescan } from "../faults/rescan.js";
import { at, largeContent, ModelTree, noise } from "../faults/tree.js";
import { Reporter } from "../session/reporter.js";
import { POOL } from "../session/testing.js";
import { VacuumTarget } from "./vacuum-target.js";

const SMALL = { ...POOL, maximumVolumeBytes: 60_000 };

/** A daemon with volumes of 60 kB and everything that is known of its jobs. */
class Stage {
  readonly play: Play;
  near!: NearRetention;

  constructor() {
    this.play = new Play({ pools: [SMALL] });
  }

  async open(): Promise<this> {
    await this.play.start();
    this.near = nearRetention(this.play.daemon);
    return this;
  }

  run(tree: ModelTree, wanted: Omit<Wanted, "jobId"> = {}): Promise<number> {
    return this.play.mustBackUp(tree, wanted);
  }

  async volumes(): Promise<Map<string, string>> {
    const all = await this.play.daemon.catalog.reader.listVolumes("", "");
    return new Map(all.map(({ name, status }) => [name, status]));
  }

  async delete(...jobIds: number[]): Promise<void> {
    const { daemon, ledger } = this.play;
    const jobs = (await daemon.goodJobs()).filter(({ jobId }) => jobIds.includes(jobId));
    await daemon.deleter.delete(jobs.map(({ id }) => id));
    for (const jobId of jobIds) ledger.set(jobId, "gone");
  }

  /** Every kept job restores, from this catalog and from one that is made of the volumes alone. */
  async check(): Promise<void> {
    await this.play.verify();
    await verifyRescan(filesOf(this.play.daemon.store), this.play.ledger, [SMALL]);
  }
}

async function staged(work: (stage: Stage) => Promise<void>): Promise<void> {
  const stage = await new Stage().open();
  try {
    await work(stage);
  } finally {
    await stage.play.end();
  }
}

/** Files of 10 kB that do not compress. */
function tree(from: number, to: number): ModelTree {
  const made = new ModelTree();
  for (let i = from; i < to; i++) made.file(at(`d/file${i}`), noise(i, 10_000));
  return made;
}

test("a count alone changes nothing but what is known of the volumes", () =>
  staged(async ({ near, play }) => {
    await play.mustBackUp(tree(0, 4));
    const { messages, volumes } = await near.vacuum({ dry: true });
    assert.deepEqual(volumes, []);
    assert.match(messages[0]!, /^Volume "Vol-0001": .* are in use \((9\d|100) %\)\.$/);
    const [volume] = await play.daemon.catalog.reader.listVolumes("", "");
    assert.ok(volume!.liveBytes > 40_000 && volume!.liveBytes <= volume!.bytes);
    assert.equal(volume!.status, "Append");
  }));

test("content that a kept job shares with a deleted one leaves the old volume, which is purged", () =>
  staged(async (stage) => {
    const first = await stage.run(tree(0, 20), { jobName: "a" });
    const second = await stage.run(tree(3, 5).file(at("own"), "own"), { jobName: "b" });
    await stage.delete(first);
    const before = await stage.volumes();
    const { volumes, bytes } = await stage.near.vacuum({ belowPercent: 60 });
    assert.ok(volumes.length >= 1, "at least one volume was emptied");
    assert.ok(bytes > 0 && bytes < 90_000, `only what lives was moved: ${bytes}`);
    for (const name of volumes) assert.equal((await stage.volumes()).get(name), "Purged");
    assert.ok(before.size > 1);
    await stage.check();
    const [job] = (await stage.play.daemon.goodJobs()).filter(({ jobId }) => jobId === second);
    assert.ok(!job!.needs.some((name) => volumes.includes(name)));
  }));

test("all volumes can be emptied; every job restores from what they were moved to, and once more", () =>
  staged(async (stage) => {
    const base = tree(0, 8).file(at("large"), largeContent(3, 1_100_000));
    await stage.run(base, { jobName: "ref", level: "Base" });
    const vm = base.clone().file(at("d/mine"), noise(99, 12_000)).symlink(at("link"), "d/mine");
    await stage.run(vm, { jobName: "vm", base: ["ref"] });
    vm.remove(at("d/file2")).file(at("d/file3"), noise(98, 9_000));
    await stage.run(vm, { jobName: "vm", level: "Incremental", base: ["ref"] });
    for (let round = 0; round < 2; round++) {
      const old = [...(await stage.volumes())]
        .filter(([, status]) => status !== "Purged")
        .map(([name]) => name);
      const { volumes, messages } = await stage.near.vacuum();
      assert.deepEqual(volumes.sort(), old, messages.join("\n"));
      await stage.check();
      await stage.play.verifyNothingLeft();
    }
    await stage.run(vm.clone().file(at("d/more"), "more"), {
      jobName: "vm",
      level: "Incremental",
      base: ["ref"],
    });
    await stage.check();
    // A delete record reaches the end record at its new place: a scan does not bring the job back.
    await stage.delete(4);
    await stage.delete(3);
    await stage.check();
  }));

test("a job that was deleted after a vacuum does not come back from the volume that it left", () =>
  staged(async (stage) => {
    const job = await stage.run(tree(0, 3));
    const { volumes } = await stage.near.vacuum();
    await stage.delete(job);
    const { admin } = stage.play.daemon.desk;
    for (const [name, status] of await stage.volumes()) {
      if (volumes.includes(name)) continue;
      // The delete record that names the newest end record goes with the file.
      if (status !== "Purged") await admin.update(name, { status: "Used" });
      for (const volume of await stage.play.daemon.catalog.reader.listVolumes("", name))
        await admin.purge(volume);
      await admin.truncate(name);
    }
    await stage.check();
  }));

test("a frame with a little that lives is taken apart", () =>
  staged(async (stage) => {
    const first = await stage.run(tree(0, 8), { jobName: "a", filesPerFrame: 8 });
    await stage.run(new ModelTree().file(at("x"), noise(2, 10_000)), { jobName: "b" });
    await stage.delete(first);
    const { bytes, volumes } = await stage.near.vacuum({ belowPercent: 60 });
    assert.ok(volumes.length > 0);
    assert.ok(bytes < 20_000, `one file of eight was moved, not all: ${bytes}`);
    await stage.check();
  }));

test("a volume that was taken and not written to gets no length", () =>
  staged(async ({ play }) => {
    await play.mustBackUp(tree(0, 1));
    const { catalog, desk, store } = play.daemon;
    const [pool] = await catalog.reader.listPools("");
    const facts = {
      job: "vacuum",
      jobName: "vacuum",
      jobId: 0,
      level: "",
      client: "",
      type: "Admin",
      storage: "",
    };
    const rest = {
      device: "",
      reporter: new Reporter(async () => undefined),
      signal: new AbortController().signal,
    };
    const acquire = { job: -1, facts, pool: pool!, ...rest };
    const target = new VacuumTarget({ catalog, desk, store, acquire, onVolume: async () => undefined }, 1);
    const { name: first } = await target.current(0);
    assert.equal(await target.sync(), undefined);
    const job = {
      jobUuid: randomUUID(),
      jobId: 9,
      job: "x",
      jobName: "x",
      client: "c",
      fileSet: "All",
      level: "Full",
    };
    const more = {
      startMs: 1,
      fileSetDigest: "d",
      comment: "",
      scheduledMs: 0,
      pool: SMALL.name,
      type: "B",
      copyOf: "",
    };
    const end = {
      status: "T",
      endMs: 2,
      rows: 0,
      files: 0,
      bytes: 0,
      parents: [],
      bases: [],
      volumes: [first],
    };
    const placed = await target.addEnd({ ...job, ...more, ...end, revision: 1, closing: [1, 0] });
    assert.deepEqual(await target.sync(), { volume: placed.volume, end: placed.end });
    await desk.admin.update(first, { status: "Used" });
    assert.notEqual((await target.current(0)).name, first);
    assert.equal(await target.sync(), undefined);
    await target.release(true);
  }));

test("a check does not miss what a deleted job had stored twice and nobody names", () =>
  staged(async (stage) => {
    const twice = "the same in two frames";
    const kept = noise(1, 10_000);
    const both = tree(0, 1).file(at("a"), twice).file(at("e"), twice).file(at("f"), kept);
    const first = await stage.run(both, { jobName: "a", filesPerFrame: 2 });
    await stage.run(new ModelTree().file(at("f"), kept), { jobName: "b" });
    await stage.delete(first);
    assert.ok((await stage.near.vacuum()).volumes.length > 0);
    assert.deepEqual(await stage.play.daemon.operations.check(true), []);
    await stage.check();
  }));

test("a damaged frame stays where it is, with its volume", () =>
  staged(async (stage) => {
    await stage.run(tree(0, 3), { jobName: "a" });
    const { store } = stage.play.daemon;
    const path = `${VOLUMES}/Vol-0001`;
    const bytes = store.contents(path);
    const [frame] = stage.play.daemon.db.prepare("SELECT offset, bytes FROM frame ORDER BY offset").all() as {
      offset: number;
      bytes: number;
    }[];
    bytes[frame!.offset + frame!.bytes - 100]! ^= 1;
    store.place(path, bytes);
    const { volumes, messages } = await stage.near.vacuum();
    assert.deepEqual(volumes, []);
    assert.ok(
      messages.some((text) => /stays where it is/.test(text)),
      messages.join("\n"),
    );
    assert.equal((await stage.volumes()).get("Vol-0001"), "Used");
  }));

test("a canceled vacuum leaves every frame where the catalog says, and the next one goes on", () =>
  staged(async (stage) => {
    await stage.run(tree(0, 20), { filesPerFrame: 1 });
    const near = nearRetention(stage.play.daemon, true);
    const order = { bytesPerSec: 10_000_000 };
    await assert.rejects(near.vacuum(order, /^New volume .* mounted/), /stopped/);
    await assert.rejects(near.vacuum(order, /frames .* moved/), /stopped/);
    await stage.check();
    await stage.play.verifyNothingLeft();
    assert.ok((await near.vacuum()).volumes.length > 0);
    await stage.check();
  }));

test("a second vacuum is refused while one runs", () =>
  staged(async (stage) => {
    await stage.run(tree(0, 9));
    const first = stage.near.vacuum();
    await assert.rejects(stage.near.vacuum(), { code: "VACUUM_RUNNING" });
    await first;
    await stage.check();
  }));
