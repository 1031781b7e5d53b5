/** Volumes in the slots of a changer: what operators and a pool do to them, and a file that holds more than is known. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import Database from "better-sqlite3";
import { packageRoot } from "../../common/package.js";
import { ChangerStore, slotsOf } from "../changer/changer-store.js";
import { FileStore } from "../store/file-store.js";
import { POOL, TestStorage } from "./testing.js";

const RECYCLED = { ...POOL, recycle: true, deduplicate: false, maximumVolumeJobs: 1, labelFormat: "Auto-" };

/** One drive and three slots below the test's directory. */
async function withRobot(work: (storage: TestStorage, slot: (n: number) => string) => Promise<void>) {
  const parts: { storage?: TestStorage } = {};
  const store = new ChangerStore({
    below: new FileStore(),
    devices: () => parts.storage!.devices,
    catalog: slotsOf(() => parts.storage!.catalog),
  });
  const storage = new TestStorage(store);
  parts.storage = storage;
  const room = join(storage.directory, "robot");
  mkdirSync(room);
  writeFileSync(join(room, "conf"), "maxslot=3\nmaxdrive=1\n");
  const plain = storage.devices.get("FileDevice")!;
  storage.devices.clear();
  const command = `${join(packageRoot(), "conf", "disk-changer")} %c %o %S %a %d`;
  storage.devices.set("Drive", {
    ...{ ...plain, name: "Drive", archiveDevice: join(room, "drive0") },
    drive: { changer: "Robot", index: 0, command, changerDevice: join(room, "conf"), maximumWaitSec: 20 },
  });
  await storage.open([RECYCLED]);
  try {
    await work(storage, (slot) => join(room, `slot${slot}`));
  } finally {
    await storage.close();
  }
}

async function backup(storage: TestStorage, name: string): Promise<string[]> {
  const run = await storage.backup((fake) => fake.tree({ [name]: name }), { jobName: name });
  assert.equal(run.result.ok, true, run.result.reason);
  return run.result.volumes ?? [];
}

const named = async (storage: TestStorage, name: string) =>
  (await storage.catalog.reader.listVolumes("", name))[0];

test("labelled, written, emptied, renamed, removed: always the file of its slot", () =>
  withRobot(async (storage, slot) => {
    const { desk } = storage;
    await desk.orders.label({ volume: "One", pool: "Full-Pool", device: "Robot", slot: 2 });
    assert.match(readFileSync(slot(2), "latin1"), /"volume":"One"/);
    await assert.rejects(
      desk.orders.label({ volume: "Two", pool: "Full-Pool", device: "Robot", slot: 2 }),
      /already labeled: "One"/,
    );
    assert.deepEqual(await backup(storage, "a"), ["One"]);
    const full = statSync(slot(2)).size;
    // Its one job is over: the next one gets a blank slot by the pool's LabelFormat.
    assert.deepEqual(await backup(storage, "b"), ["Auto-0002"]);
    const auto = await named(storage, "Auto-0002");
    assert.deepEqual([auto?.slot, auto?.inChanger], [1, true]);
    await storage.deleter.delete([1]);
    await desk.admin.purge((await named(storage, "One"))!);
    await desk.admin.truncate("One");
    assert.ok(statSync(slot(2)).size < full);
    await desk.admin.relabel("One", "Uno", "");
    assert.match(readFileSync(slot(2), "latin1"), /"volume":"Uno"/);
    assert.deepEqual([(await named(storage, "Uno"))?.slot, await named(storage, "One")], [2, undefined]);
    await desk.admin.remove("Uno", true);
    assert.equal(statSync(slot(2)).size, 0);
    await desk.orders.label({ volume: "Again", pool: "Full-Pool", device: "Drive", slot: 2 });
    assert.equal((await named(storage, "Again"))?.slot, 2);
  }));

test("a slot has one volume; one that is taken out is passed over", () =>
  withRobot(async (storage) => {
    const { desk } = storage;
    for (const [index, volume] of ["One", "Two"].entries())
      await desk.orders.label({ volume, pool: "Full-Pool", device: "Robot", slot: index + 1 });
    await desk.admin.update("Two", { slot: 1 });
    assert.equal((await named(storage, "One"))?.inChanger, false);
    await desk.admin.update("Two", { inChanger: false });
    await desk.admin.update("One", { inChanger: true });
    assert.deepEqual(await backup(storage, "a"), ["One"]);
    const lines: string[] = [];
    const order = { device: "Robot", say: (text: string) => void lines.push(text) };
    assert.equal(await desk.orders.updateSlots(order, true), 3);
    assert.ok(lines.includes('Catalog record for Volume "One" is up to date.'));
    assert.ok(lines.includes('Catalog record for Volume "Two" updated to reference slot 2.'));
    assert.ok(lines.includes("No VolName for Slot=3 InChanger set to zero."));
  }));

test("a volume that was put into another autochanger is of that one; one in a directory stays there", () =>
  withRobot(async (storage, slot) => {
    const { desk } = storage;
    const first = storage.devices.get("Drive")!;
    const room = join(storage.directory, "other");
    mkdirSync(room);
    writeFileSync(join(room, "conf"), "maxslot=2\nmaxdrive=1\n");
    for (const [index, volume] of ["One", "Two"].entries())
      await desk.orders.label({ volume, pool: "Full-Pool", device: "Robot", slot: index + 1 });
    for (const n of [1, 2]) copyFileSync(slot(n), join(room, `slot${n}`));
    const drive = { ...first.drive!, changer: "Other-Robot", changerDevice: join(room, "conf") };
    storage.devices.set("Other", { ...first, name: "Other", archiveDevice: join(room, "drive0"), drive });
    const { drive: _none, ...plain } = first;
    storage.devices.set("Files", { ...plain, name: "Files", archiveDevice: storage.directory });
    await storage.catalog.writer.updateVolume((await named(storage, "Two"))!.id, { device: "Files" });
    const lines: string[] = [];
    await desk.orders.updateSlots({ device: "Other-Robot", say: (text) => void lines.push(text) }, true);
    assert.ok(lines.includes('Catalog record for Volume "One" updated to reference slot 1.'));
    assert.ok(lines.includes('Volume "Two" lies on Device "Files". Slot=2 InChanger set to zero.'));
    assert.deepEqual(
      [(await named(storage, "One"))?.device, (await named(storage, "Two"))?.device],
      ["Other", "Files"],
    );
  }));

test("a job on a volume that was taken out is deleted all the same, with a warning", () =>
  withRobot(async (storage) => {
    const { desk } = storage;
    await desk.orders.label({ volume: "One", pool: "Full-Pool", device: "Robot", slot: 1 });
    assert.deepEqual(await backup(storage, "a"), ["One"]);
    await desk.admin.update("One", { inChanger: false });
    const { warnings } = await storage.deleter.delete([1]);
    assert.match(
      warnings.join(),
      /"One" could not be told .*is in no slot of the autochanger.*a scan of it would/,
    );
    const wanted = { jobIds: [1], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
    assert.deepEqual(await storage.catalog.listJobs(wanted), []);
  }));

test("a changer that fails while a volume is to be labelled makes the job wait, not fail", () =>
  withRobot(async (storage) => {
    const device = storage.devices.get("Drive")!;
    const broken = { ...device, drive: { ...device.drive!, command: "/nonexistent/changer %o" } };
    storage.devices.set("Drive", broken);
    const run = await storage.session((fake) => fake.tree({ a: "a" }), { jobName: "a" });
    const ended = run.run();
    while (!run.events.some(({ state, result }) => state?.state === "waiting" || result))
      await new Promise(setImmediate);
    assert.match(run.messages.join("\n"), /Device "Drive" cannot label a new Volume: 3998 Bad autochanger/);
    storage.devices.set("Drive", device);
    storage.desk.changed();
    await ended;
    assert.equal(run.result.ok, true, run.result.reason);
  }));

test("a volume that holds jobs which the catalog has never heard of becomes Read-Only and is not cut", () =>
  withRobot(async (storage, slot) => {
    const { desk, catalog } = storage;
    const made = await desk.orders.label({ volume: "One", pool: "Full-Pool", device: "Robot", slot: 1 });
    assert.deepEqual(await backup(storage, "a"), ["One"]);
    const { size } = statSync(slot(1));
    // As in a catalog of an earlier time: the volume ends behind its label, and the job is not there.
    const db = new Database(catalog.file);
    db.pragma("foreign_keys = OFF");
    for (const table of ["frame", "job_volume", "job_need", "job_record"]) db.exec(`DELETE FROM ${table}`);
    db.exec("UPDATE job SET uuid = '00000000-0000-4000-8000-000000000000'");
    db.prepare("UPDATE volume SET bytes = ?, jobs = 0, status = 'Append', record_end = 0").run(
      made.record.bytes,
    );
    db.close();
    storage.reopenDesk();
    const run = await storage.backup((fake) => fake.tree({ b: "b" }), { jobName: "b" });
    assert.deepEqual(run.result.volumes, ["Auto-0002"], run.result.reason);
    assert.match(
      run.messages.join("\n"),
      /Volume "One" holds jobs \(JobIds 1\) that the catalog does not know/,
    );
    assert.deepEqual([(await named(storage, "One"))?.status, statSync(slot(1)).size], ["Read-Only", size]);
  }));
