/** Drives over one directory, records without labels, names with counters. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import { type BackupRun, POOL, TestStorage } from "./testing.js";

/** Two drives of a virtual autochanger over the test's directory. */
async function withDrives(
  pools: readonly PoolDefinition[],
  work: (storage: TestStorage) => Promise<void>,
): Promise<void> {
  const storage = await new TestStorage().open(pools);
  const plain = storage.devices.get("FileDevice")!;
  storage.devices.clear();
  for (const index of [0, 1]) {
    const drive = { changer: "Changer", index, command: "", changerDevice: "", maximumWaitSec: 1 };
    storage.devices.set(`Drive-${index}`, { ...plain, name: `Drive-${index}`, drive });
  }
  try {
    await work(storage);
  } finally {
    await storage.close();
  }
}

const pool = (name: string, more: Partial<PoolDefinition> = {}): PoolDefinition => ({
  ...POOL,
  ...{ name, labelFormat: `${name}-` },
  ...more,
});

/** A run that holds its volume until `go` is called. */
async function held(storage: TestStorage, jobName: string, poolName: string, spread = false) {
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const run = await storage.session(
    async (fake) => {
      await gate;
      await fake.tree({ [jobName]: `content of ${jobName}` });
    },
    { jobName, pool: poolName, spread },
  );
  return { run, ended: run.run(), go };
}

async function heard(run: BackupRun, pattern: RegExp): Promise<string> {
  for (;;) {
    const found = run.messages.map((text) => pattern.exec(text)?.[1]).find((text) => text !== undefined);
    if (found !== undefined) return found;
    await new Promise(setImmediate);
  }
}

const USING = /^Using Device "(.*)" to write\.$/;

test("a drive has one volume: jobs of two pools take both, one of a third waits for a drive", () =>
  withDrives(
    ["A", "B", "C"].map((name) => pool(name)),
    async (storage) => {
      const a = await held(storage, "a", "A");
      assert.equal(await heard(a.run, USING), "Drive-0");
      await heard(a.run, /^(Wrote label to prelabeled) Volume "A-0001"/);
      const b = await held(storage, "b", "B");
      assert.equal(await heard(b.run, USING), "Drive-1");
      await heard(b.run, /^(Wrote label to prelabeled) Volume "B-0001"/);
      const second = await held(storage, "second", "A");
      assert.equal(await heard(second.run, USING), "Drive-0", "of the same pool: it shares drive and volume");
      const c = await held(storage, "c", "C");
      while (!c.run.events.some(({ state }) => state?.state === "waiting")) await new Promise(setImmediate);
      assert.ok(!c.run.messages.some((text) => USING.test(text)));
      b.go();
      await b.ended;
      assert.equal(await heard(c.run, USING), "Drive-1");
      for (const each of [a, second, c]) each.go();
      for (const { ended, run } of [a, second, c]) {
        await ended;
        assert.equal(run.result.ok, true, run.result.reason);
      }
      assert.deepEqual([a.run.result.volumes, second.run.result.volumes], [["A-0001"], ["A-0001"]]);
    },
  ));

test("beyond MaximumConcurrentJobs the same pool goes on in another drive, on another volume", () =>
  withDrives([pool("A")], async (storage) => {
    for (const device of [...storage.devices.values()])
      storage.devices.set(device.name, { ...device, maximumConcurrentJobs: 1 });
    const first = await held(storage, "first", "A");
    await heard(first.run, /^(Wrote label to prelabeled) Volume "A-0001"/);
    const second = await held(storage, "second", "A");
    assert.equal(await heard(second.run, USING), "Drive-1");
    await heard(second.run, /^(Wrote label to prelabeled) Volume "A-0002"/);
    for (const each of [first, second]) each.go();
    await Promise.all([first.ended, second.ended]);
    // A volume that was written in one drive is appended to in another.
    storage.devices.delete("Drive-0");
    const third = await held(storage, "third", "A");
    third.go();
    await third.ended;
    assert.equal(third.run.result.ok, true, third.run.result.reason);
    assert.match(
      third.run.messages.join("\n"),
      /Volume "A-000\d" previously written, moving to end of data\./,
    );
  }));

test("Prefer Mounted Volumes = no: a drive of its own while there is one, then a shared one", () =>
  withDrives([pool("A")], async (storage) => {
    const runs: Awaited<ReturnType<typeof held>>[] = [];
    const drives: string[] = [];
    for (const name of ["a", "b", "c"]) {
      const each = await held(storage, name, "A", true);
      runs.push(each);
      drives.push(await heard(each.run, USING));
      await heard(each.run, /^(Wrote label to prelabeled|Ready to append)/);
    }
    assert.deepEqual(drives.slice(0, 2).sort(), ["Drive-0", "Drive-1"]);
    for (const { go } of runs) go();
    for (const { ended, run } of runs) {
      await ended;
      assert.equal(run.result.ok, true, run.result.reason);
    }
    const used = runs.slice(0, 2).flatMap(({ run }) => run.result.volumes ?? []);
    assert.deepEqual(used.sort(), ["A-0001", "A-0002"]);
  }));

test("a record without a label: labelled at its first use, or asked for", () =>
  withDrives([pool("A", { labelFormat: "" })], async (storage) => {
    const order = { pool: "A", device: "Changer", slot: 3 };
    await storage.desk.orders.add({ ...order, volume: "Added" }, false);
    await assert.rejects(
      storage.desk.orders.add({ ...order, volume: "Added" }, false),
      /in the catalog already/,
    );
    await assert.rejects(storage.desk.orders.add({ ...order, volume: "a b" }, false), /not valid/);
    const file = join(storage.directory, "Added");
    assert.equal(existsSync(file), false);
    for (const device of [...storage.devices.values()])
      storage.devices.set(device.name, { ...device, labelMedia: false });
    const run = await held(storage, "a", "A");
    run.go();
    await heard(run.run, /(Please mount append Volume "Added")/);
    for (const device of [...storage.devices.values()])
      storage.devices.set(device.name, { ...device, labelMedia: true });
    storage.desk.changed();
    await run.ended;
    assert.deepEqual([run.run.result.ok, run.run.result.volumes], [true, ["Added"]], run.run.result.reason);
    assert.ok(run.run.messages.some((text) => text.startsWith('Labeled new Volume "Added" on File device')));
    const [record] = await storage.catalog.reader.listVolumes("", "Added");
    assert.deepEqual([record?.slot, record?.status, record?.jobs], [3, "Append", 1]);
  }));

test("a counter counts on, begins anew behind its maximum, and passes over names that are taken", () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: variables of Bacula's
  const labelFormat = "T${Round}-${Tape+:p/2/0/r}";
  return withDrives([pool("A", { labelFormat, maximumVolumeJobs: 1 })], async (storage) => {
    const { writer } = storage.catalog;
    const tape = { name: "tape", minimum: 1, maximum: 3, wrapCounter: "round" };
    const round = { name: "round", minimum: 0, maximum: 9, wrapCounter: "" };
    await writer.syncCounters([tape, round]);
    await storage.desk.label("T0-02", "A", "Drive-0", 0);
    await storage.catalog.writer.setVolumeStatus(1, "Full");
    const used: unknown[] = [];
    for (const name of ["a", "b", "c"]) {
      const run = await storage.backup((fake) => fake.tree({ [name]: name }), { jobName: name, pool: "A" });
      used.push(...(run.result.volumes ?? [run.result.reason]));
    }
    assert.deepEqual(used, ["T0-01", "T0-03", "T1-01"]);
    await writer.syncCounters([{ ...tape, minimum: 5, maximum: 6 }]);
    const values = await writer.useCounters([
      { name: "tape", increments: true },
      { name: "unknown", increments: true },
    ]);
    assert.deepEqual(values, { tape: 5 }, "outside of its new limits");
  });
});
