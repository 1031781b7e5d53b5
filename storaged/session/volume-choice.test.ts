import assert from "node:assert/strict";
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import Database from "better-sqlite3";
import type { VolumeRecord } from "../catalog/types.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import type { VolumeRetention } from "./room-maker.js";
import { type BackupRun, POOL, TestStorage } from "./testing.js";

const DAY = 86_400;
const LIMITED = { ...POOL, deduplicate: false, recycle: true, maximumVolumeJobs: 1, maximumVolumes: 3 };

async function withStorage(
  pools: readonly PoolDefinition[],
  work: (storage: TestStorage) => Promise<void>,
): Promise<void> {
  const storage = await new TestStorage().open(pools);
  try {
    storage.desk.setRetention(retentionOf(storage));
    await work(storage);
  } finally {
    await storage.close();
  }
}

/** Deletes whole volumes' jobs, as far as nobody else needs them. */
function retentionOf({ catalog, deleter, desk }: TestStorage): VolumeRetention {
  const purge = async ({ id, name }: VolumeRecord) => {
    const all = { jobIds: [], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
    const jobs = (await catalog.reader.listJobs(all)).filter(({ volumes }) => volumes.includes(name));
    await deleter.delete(jobs.map((job) => job.id));
    await desk.admin.purge({ id, name });
    return true;
  };
  return {
    purge,
    pruneExpired: async (volumes) => {
      for (const volume of volumes) await purge(volume);
      return true;
    },
  };
}

async function backup(storage: TestStorage, name: string, more: object = {}): Promise<BackupRun> {
  const run = await storage.backup((fake) => fake.tree({ [name]: `content of ${name}` }), {
    jobName: name,
    ...more,
  });
  assert.equal(run.result.ok, true, run.result.reason);
  return run;
}

async function volume(storage: TestStorage, name: string): Promise<VolumeRecord> {
  const [found] = await storage.catalog.reader.listVolumes("", name);
  assert.ok(found, `no volume ${name}`);
  return found;
}

/** As if the volume had been written so many days ago. */
function age(storage: TestStorage, name: string, days: number): void {
  const db = new Database(storage.catalog.file);
  db.prepare(
    "UPDATE volume SET first_written_ms = first_written_ms - @ms, last_written_ms = last_written_ms - @ms WHERE name = @name",
  ).run({ ms: days * DAY * 1000, name });
  db.close();
}

async function waiting(run: BackupRun): Promise<void> {
  while (!run.events.some(({ state }) => state?.state === "waiting")) await new Promise(setImmediate);
}

test("a pool of three volumes without deduplication is used in a circle, each job on volumes of its own", () =>
  withStorage([{ ...LIMITED, purgeOldestVolume: true }], async (storage) => {
    const used: unknown[] = [];
    for (let i = 0; i < 7; i++) {
      const run = await storage.backup((fake) => fake.tree({ same: "the same content every time" }));
      assert.equal(run.result.ok, true, run.result.reason);
      assert.equal(run.result.newContent, 1);
      used.push(run.result.volumes?.[0]);
      if (i < 3) continue;
      assert.ok(run.messages.includes(`Purging oldest volume "${used[i]}"`));
      const place = `File device "FileDevice" (${storage.directory})`;
      assert.ok(run.messages.includes(`Recycled volume "${used[i]}" on ${place}, all previous data lost.`));
    }
    const names = ["Vol-0001", "Vol-0002", "Vol-0003"];
    assert.deepEqual(used, [...names, ...names, "Vol-0001"]);
    const first = await volume(storage, "Vol-0001");
    assert.deepEqual([first.recycles, first.jobs, first.status], [2, 1, "Used"]);
    assert.equal(first.bytes, statSync(join(storage.directory, "Vol-0001")).size);
  }));

test("what a kept job needs is not purged for a new job, whatever the pool says", () =>
  withStorage(
    [{ ...LIMITED, deduplicate: true, maximumVolumes: 2, purgeOldestVolume: true }],
    async (storage) => {
      await storage.backup((fake) => fake.tree({ shared: "shared" }), { jobName: "a" });
      // Its own list lies on the second volume, its content on the first.
      const second = await storage.backup((fake) => fake.tree({ shared: "shared" }), {
        jobName: "b",
      });
      assert.equal(second.result.ok, true, second.result.reason);
      const retention = retentionOf(storage);
      storage.desk.setRetention({
        ...retention,
        purge: async ({ id, name }) => (await storage.desk.admin.purge({ id, name })).neededBy.length > 0,
      });
      const third = await storage.session((fake) => fake.tree({ c: "c" }), { jobName: "c" });
      const ended = third.run();
      await waiting(third);
      assert.equal((await volume(storage, "Vol-0001")).status, "Used");
      third.session.cancel("enough");
      await ended;
    },
  ));

test("pruning comes before the Scratch pool, a new label and the oldest volume, and respects retention", () =>
  withStorage(
    [{ ...LIMITED, autoPrune: true, volumeRetention: 10 * DAY, recycleOldestVolume: true }],
    async (storage) => {
      for (const name of ["a", "b"]) await backup(storage, name);
      age(storage, "Vol-0001", 11);
      age(storage, "Vol-0002", 9);
      const third = await backup(storage, "c");
      assert.deepEqual(third.result.volumes, ["Vol-0001"]);
      assert.deepEqual((await backup(storage, "d")).result.volumes, ["Vol-0003"]);
      // All are full now, and none is old enough.
      const fifth = await storage.session((fake) => fake.tree({ e: "e" }), { jobName: "e" });
      const ended = fifth.run();
      await waiting(fifth);
      age(storage, "Vol-0002", 2);
      storage.desk.changed();
      await ended;
      assert.deepEqual(fifth.result.volumes, ["Vol-0002"]);
    },
  ));

test("Recycle Current Volume prunes only the volume that was written last", () =>
  withStorage(
    [{ ...LIMITED, maximumVolumes: 2, volumeRetention: DAY, recycleCurrentVolume: true }],
    async (storage) => {
      for (const name of ["a", "b"]) await backup(storage, name);
      age(storage, "Vol-0001", 3);
      age(storage, "Vol-0002", 2);
      assert.deepEqual((await backup(storage, "c")).result.volumes, ["Vol-0002"]);
    },
  ));

test("empty volumes come from the Scratch pool and go back to the RecyclePool", () =>
  withStorage(
    [
      { ...LIMITED, labelFormat: "", recyclePool: "Scratch" },
      {
        ...POOL,
        name: "Scratch",
        poolType: "Scratch",
        labelFormat: "",
        recyclePool: "Scratch",
        recycle: true,
      },
    ],
    async (storage) => {
      await storage.desk.label("Spare", "Scratch", "FileDevice", 0);
      const run = await backup(storage, "a");
      assert.ok(run.messages.includes(`Using Volume "Spare" from 'Scratch' pool.`));
      const taken = await volume(storage, "Spare");
      assert.deepEqual([taken.poolName, taken.maxJobs, taken.recyclePool], ["Full-Pool", 1, "Scratch"]);
      assert.match(readFileSync(join(storage.directory, "Spare"), "latin1"), /"pool":"Full-Pool"/);
      await retentionOf(storage).purge(taken);
      const back = await volume(storage, "Spare");
      assert.deepEqual([back.poolName, back.status], ["Scratch", "Purged"]);
      assert.deepEqual((await backup(storage, "b")).result.volumes, ["Spare"]);
      assert.equal((await volume(storage, "Spare")).recycles, 1);
    },
  ));

test("a volume whose file is missing, another's, broken or short is set aside, and the next one is used", () =>
  withStorage([{ ...POOL, maximumVolumes: 6 }], async (storage) => {
    const path = (name: string) => join(storage.directory, name);
    for (const name of ["Gone", "Other", "Same", "Broken", "Short", "Good"])
      await storage.desk.label(name, "Full-Pool", "FileDevice", 0);
    const stranger = await new TestStorage().open();
    try {
      await stranger.desk.label("Same", "Full-Pool", "FileDevice", 0);
      renameSync(join(stranger.directory, "Same"), path("Same"));
    } finally {
      await stranger.close();
    }
    rmSync(path("Gone"));
    writeFileSync(path("Other"), Buffer.concat([readFileSync(path("Good")), Buffer.from("precious")]));
    writeFileSync(path("Broken"), "no label at all, but long enough to have had one".repeat(20));
    writeFileSync(path("Short"), readFileSync(path("Short")).subarray(0, -3));
    const run = await backup(storage, "a");
    assert.deepEqual(run.result.volumes, ["Good"]);
    const said = (name: string) =>
      run.messages.find((text) => text.startsWith(`Volume "${name}" cannot be used: `));
    assert.match(said("Gone") ?? "", /no such file/);
    assert.match(said("Other") ?? "", /carries the label of Volume "Good"/);
    assert.match(said("Same") ?? "", /another Volume of the same name/);
    assert.match(said("Broken") ?? "", /at byte 0/);
    assert.match(said("Short") ?? "", /at byte 0|has \d+ bytes/);
    for (const name of ["Gone", "Other", "Same", "Broken", "Short"])
      assert.equal((await volume(storage, name)).status, "Error", name);
    // A file that belongs to somebody else is never cut.
    assert.match(readFileSync(path("Other"), "latin1"), /precious$/);
  }));

test("a device without any of its volumes is taken for one that is not mounted", () =>
  withStorage([{ ...POOL, maximumVolumeJobs: 1 }], async (storage) => {
    for (const name of ["a", "b"]) await backup(storage, name);
    await storage.desk.label("Vol-0003", "Full-Pool", "FileDevice", 0);
    for (const name of ["Vol-0001", "Vol-0002", "Vol-0003"]) rmSync(join(storage.directory, name));
    const run = await storage.backup((fake) => fake.tree({ c: "c" }), { jobName: "c" });
    assert.match(run.result.reason ?? "", /none of its 3 Volumes is in .*; is the file system mounted\?/);
    assert.equal((await volume(storage, "Vol-0003")).status, "Append");
  }));

test("a waiting job goes on after update volume and after a purge", () =>
  withStorage([{ ...LIMITED, maximumVolumes: 1 }], async (storage) => {
    const run = await backup(storage, "a");
    const second = await storage.session((fake) => fake.tree({ b: "b" }), { jobName: "b" });
    const ended = second.run();
    await waiting(second);
    await storage.desk.admin.update("Vol-0001", { maxJobs: 2, status: "Append" });
    await ended;
    assert.deepEqual(second.result.volumes, run.result.volumes);
    const third = await storage.session((fake) => fake.tree({ c: "c" }), { jobName: "c" });
    const thirdEnded = third.run();
    await waiting(third);
    await retentionOf(storage).purge(await volume(storage, "Vol-0001"));
    await thirdEnded;
    assert.equal(third.result.ok, true, third.result.reason);
    assert.equal((await volume(storage, "Vol-0001")).jobs, 1);
  }));

test("a volume that cannot be written for now is asked for by name", () =>
  withStorage([{ ...POOL, labelFormat: "" }], async (storage) => {
    await storage.desk.label("Wanted", "Full-Pool", "FileDevice", 0);
    const path = join(storage.directory, "Wanted");
    renameSync(path, `${path}.away`);
    // A link in place of the file is refused as a permission is, for root too.
    const { symlinkSync } = await import("node:fs");
    symlinkSync(`${path}.away`, path);
    const run = await storage.session((fake) => fake.tree({ a: "a" }), { jobName: "a" });
    const ended = run.run();
    await waiting(run);
    assert.match(run.messages.join("\n"), /Please mount append Volume "Wanted" or label a new one for:/);
    assert.equal((await volume(storage, "Wanted")).status, "Append");
    rmSync(path);
    renameSync(`${path}.away`, path);
    storage.desk.wake();
    await ended;
    assert.deepEqual(run.result.volumes, ["Wanted"]);
  }));
