import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { restoreTree } from "../faults/model-restore.js";
import { noise } from "../faults/tree.js";
import { MemoryStore, type StoreFault, type StoreStep } from "../store/memory-store.js";
import { type FakeFiled, fileRow } from "./fake-filed.js";
import { type BackupRun, POOL, TestStorage } from "./testing.js";

const FILES = Array.from({ length: 6 }, (_none, i) => ({ key: `f${i}`, bytes: noise(i + 1, 1500) }));

/** A storage in memory with the devices A and B; `fault` may fail any step. */
async function withStorage(
  pool: object,
  work: (
    storage: TestStorage,
    faults: { fault: (step: StoreStep) => StoreFault | undefined },
  ) => Promise<void>,
): Promise<void> {
  const faults = { fault: (_step: StoreStep): StoreFault | undefined => undefined };
  const storage = new TestStorage(new MemoryStore({ before: (step) => faults.fault(step) }));
  const [first] = storage.devices.values();
  storage.devices.clear();
  for (const name of ["A", "B"])
    storage.devices.set(name, { ...first!, name, archiveDevice: join(storage.directory, name) });
  await storage.open([{ ...POOL, ...pool }]);
  try {
    await work(storage, faults);
  } finally {
    await storage.close();
  }
}

const sizeOf = (storage: TestStorage) => {
  const store = storage.store as MemoryStore;
  return store.paths().reduce((sum, path) => sum + store.contents(path).length, 0);
};

/** Sends the files one frame each, each when the one before it is on a volume; `between` runs in front of each. */
async function sendAll(
  storage: TestStorage,
  fake: FakeFiled,
  between: (file: number) => Promise<void> = async () => undefined,
): Promise<void> {
  for (const [i, file] of FILES.entries()) {
    await between(i);
    const before = sizeOf(storage);
    await fake.frame([file]);
    while (sizeOf(storage) < before + file.bytes.length && !fake.stream.signal.aborted)
      await new Promise(setImmediate);
  }
  await fake.rows(FILES.map(({ key, bytes }) => fileRow(key, bytes)));
  await fake.end();
}

/** The job has ended well on these volumes, each has the status given, and everything comes back. */
async function check(
  storage: TestStorage,
  run: BackupRun,
  volumes: Readonly<Record<string, string>>,
): Promise<void> {
  assert.equal(run.result.ok, true, run.result.reason);
  assert.deepEqual(run.result.volumes, Object.keys(volumes));
  const records = await storage.catalog.reader.listVolumes("", "");
  assert.deepEqual(Object.fromEntries(records.map(({ name, status }) => [name, status])), volumes);
  const { catalog, store } = storage;
  const tree = await restoreTree({ catalog, store, devices: () => storage.devices }, [run.jobId]);
  assert.equal(tree.size, FILES.length);
}

const isFull =
  (device: string) =>
  (step: StoreStep): StoreFault | undefined =>
    step.operation === "append" && step.path.includes(`/${device}/`)
      ? { errno: "ENOSPC", written: 7 }
      : undefined;

test("a job over several volumes by their size comes back whole", () =>
  withStorage({ maximumVolumeBytes: 4000 }, async (storage) => {
    const run = await storage.backup((fake) => sendAll(storage, fake));
    const names = ["Vol-0001", "Vol-0002", "Vol-0003", "Vol-0004", "Vol-0005"];
    const full = Object.fromEntries(names.map((name) => [name, "Full"]));
    await check(storage, run, { ...full, "Vol-0006": "Append" });
  }));

test("a full disk: the job goes on on another device, and the volume is marked as Full", () =>
  withStorage({}, async (storage, faults) => {
    const run = await storage.backup((fake) =>
      sendAll(storage, fake, async (i) => {
        if (i === 3) faults.fault = isFull("A");
      }),
    );
    await check(storage, run, { "Vol-0001": "Full", "Vol-0002": "Append" });
    assert.equal((await storage.catalog.reader.listVolumes("", "Vol-0002"))[0]?.device, "B");
    assert.match(run.messages.join("\n"), /Write error at \d+ on device "A" .*Vol=Vol-0001\. ERR=.*no space/);
    assert.match(run.messages.join("\n"), /End of medium on Volume "Vol-0001"/);
  }));

test("a full disk under two devices: a volume on the second one does not keep the job from the third", () =>
  withStorage({}, async (storage, faults) => {
    const [first] = storage.devices.values();
    storage.devices.set("C", { ...first!, name: "C", archiveDevice: join(storage.directory, "C") });
    for (const device of ["A", "B"]) await storage.desk.label(`On-${device}`, POOL.name, device, 0);
    const run = await storage.backup((fake) =>
      sendAll(storage, fake, async (i) => {
        if (i === 3) faults.fault = (step) => isFull("A")(step) ?? isFull("B")(step);
      }),
    );
    await check(storage, run, { "On-A": "Full", "On-B": "Full", "Vol-0003": "Append" });
  }));

test("a full disk and no other: the job fails with the reason, and its room is free again", () =>
  withStorage({}, async (storage, faults) => {
    storage.devices.delete("B");
    await storage.backup((fake) => sendAll(storage, fake), { jobName: "first" });
    const before = sizeOf(storage);
    faults.fault = isFull("A");
    const run = await storage.backup((fake) => fake.tree({ x: "x" }), { jobName: "second" });
    assert.match(run.result.reason ?? "", /Vol-0001: no space left on device/);
    assert.equal(sizeOf(storage), before);
    faults.fault = () => undefined;
    const third = await storage.backup((fake) => fake.tree({ y: "y" }), { jobName: "third" });
    assert.deepEqual(third.result.volumes, ["Vol-0001"]);
  }));

test("a disk too full for a label: the next device is tried, and the name stays free", () =>
  withStorage({}, async (storage, faults) => {
    faults.fault = isFull("A");
    const run = await storage.backup((fake) => sendAll(storage, fake));
    await check(storage, run, { "Vol-0001": "Append" });
    assert.equal((await storage.catalog.reader.listVolumes("", ""))[0]?.device, "B");
  }));

test("a volume that an operator marks as Used, or gives a smaller limit, is left in the middle of the job", () =>
  withStorage({}, async (storage) => {
    const { admin } = storage.desk;
    const run = await storage.backup((fake) =>
      sendAll(storage, fake, async (i) => {
        if (i === 2) await admin.update("Vol-0001", { status: "Used" });
        if (i === 4) await admin.update("Vol-0002", { maxBytes: 1 });
      }),
    );
    await check(storage, run, { "Vol-0001": "Used", "Vol-0002": "Full", "Vol-0003": "Append" });
  }));

test("a volume whose use duration ends in the middle of a job is left as Used", () =>
  withStorage({}, async (storage) => {
    const run = await storage.backup((fake) =>
      sendAll(storage, fake, async (i) => {
        if (i !== 3) return;
        // As if it had been begun long ago.
        const [open] = storage.desk.openVolumes;
        open!.record = { ...open!.record, useDuration: 60, firstWrittenMs: 1000 };
      }),
    );
    await check(storage, run, { "Vol-0001": "Used", "Vol-0002": "Append" });
    assert.ok(
      run.messages.includes(
        'Max configured use duration=60 sec. exceeded. Marking Volume "Vol-0001" as Used.',
      ),
    );
  }));

test("a volume that broke fails the job that wrote there, and the next one uses another", () =>
  withStorage({}, async (storage, faults) => {
    const run = await storage.backup((fake) =>
      sendAll(storage, fake, async (i) => {
        if (i !== 3) return;
        let first = true;
        faults.fault = ({ operation }) => {
          if (operation !== "append" && operation !== "truncate") return undefined;
          if (operation === "truncate") first = false;
          return first || operation === "truncate" ? { errno: "EIO", written: 3 } : undefined;
        };
      }),
    );
    assert.match(run.result.reason ?? "", /input\/output error/);
    faults.fault = () => undefined;
    const next = await storage.backup((fake) => fake.tree({ a: "a" }), { jobName: "next" });
    assert.equal(next.result.ok, true, next.result.reason);
  }));
