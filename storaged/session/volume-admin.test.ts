import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { codeOf } from "../../common/errors.js";
import { RecordKind } from "../../common/format/frame.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import { encodeLabel, newLabel } from "../volume/label.js";
import { POOL, TestStorage } from "./testing.js";

async function withStorage(
  pools: readonly PoolDefinition[],
  work: (storage: TestStorage) => Promise<void>,
): Promise<void> {
  const storage = await new TestStorage().open(pools);
  try {
    await work(storage);
  } finally {
    await storage.close();
  }
}

const fails = (call: Promise<unknown>, code: string) =>
  assert.rejects(call, (error) => codeOf(error) === code);
const statusOf = async (storage: TestStorage, name: string) =>
  (await storage.catalog.reader.listVolumes("", name))[0]?.status;

/** A backup that is then deleted, so that nobody needs its volume. */
async function purged(storage: TestStorage): Promise<string> {
  const run = await storage.backup((fake) => fake.tree({ a: "a".repeat(5000) }));
  const name = run.result.volumes![0]!;
  const all = { jobIds: [run.jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  await storage.deleter.delete((await storage.catalog.reader.listJobs(all)).map(({ id }) => id));
  const [volume] = await storage.catalog.reader.listVolumes("", name);
  assert.deepEqual(await storage.desk.admin.purge(volume!), { purged: true, neededBy: [], running: false });
  return name;
}

test("update volume: what may be changed into what", () =>
  withStorage([POOL, { ...POOL, name: "Other", volumeRetention: 77 }], async (storage) => {
    const { admin } = storage.desk;
    await storage.desk.label("V", "Full-Pool", "FileDevice", 0);
    const changes = {
      enabled: false,
      retention: 5,
      useDuration: 6,
      maxJobs: 7,
      maxBytes: 8,
      recycle: true,
      slot: 9,
    };
    const changed = await admin.update("V", { ...changes, inChanger: true, truncateOnPurge: true });
    for (const [name, value] of Object.entries(changes))
      assert.equal(changed[name as keyof typeof changed], value);
    for (const status of ["Archive", "Disabled", "Full", "Used", "Cleaning", "Read-Only", "Error", "Append"])
      assert.equal((await admin.update("V", { status })).status, status);
    await fails(admin.update("V", { status: "Purged" }), "VOLUME_STATUS_INVALID");
    await fails(admin.update("V", { status: "Recycle" }), "VOLUME_STATUS_INVALID");
    await fails(admin.update("Nowhere", {}), "VOLUME_UNKNOWN");
    await fails(admin.update("V", {}, "Nowhere"), "POOL_UNKNOWN");
    await fails(admin.update("V", { recyclePool: "Nowhere" }), "POOL_UNKNOWN");
    const moved = await admin.update("V", {}, "Other");
    assert.deepEqual([moved.poolName, moved.retention], ["Other", 77]);
    const [restored] = await admin.fromPool("Other", "");
    assert.equal(restored?.maxJobs, 0);
  }));

test("a volume with data stays in its pool, and is neither renamed, truncated nor deleted", () =>
  withStorage([POOL, { ...POOL, name: "Other" }], async (storage) => {
    const { admin } = storage.desk;
    const run = await storage.backup((fake) => fake.tree({ a: "a" }));
    const [volume] = await storage.catalog.reader.listVolumes("", "Vol-0001");
    await fails(admin.update("Vol-0001", {}, "Other"), "VOLUME_IN_USE");
    await fails(admin.relabel("Vol-0001", "New", ""), "VOLUME_STATUS_INVALID");
    await fails(admin.truncate("Vol-0001"), "VOLUME_STATUS_INVALID");
    await fails(admin.remove("Vol-0001", true), "VOLUME_IN_USE");
    await fails(admin.removePool("Full-Pool"), "POOL_IN_USE");
    await admin.update("Vol-0001", { status: "Error" });
    await fails(admin.relabel("Vol-0001", "New", ""), "VOLUME_IN_USE");
    const purge = await admin.purge(volume!);
    assert.deepEqual(purge, { purged: false, neededBy: [run.jobId], running: false });
    await admin.removePool("Other");
    assert.deepEqual(await storage.catalog.reader.listPools("Other"), []);
  }));

test("relabel, truncate, recycle and delete of a Purged volume", () =>
  withStorage([POOL, { ...POOL, name: "Other", recycle: true }], async (storage) => {
    const { admin } = storage.desk;
    const path = (name: string) => join(storage.directory, name);
    const name = await purged(storage);
    assert.ok(statSync(path(name)).size > 1000);
    const truncated = await admin.truncate(name);
    assert.deepEqual([truncated.status, truncated.bytes], ["Purged", statSync(path(name)).size]);
    assert.ok(truncated.bytes < 1000);
    await storage.desk.label("Taken", "Other", "FileDevice", 0);
    await fails(admin.relabel(name, "Taken", ""), "VOLUME_EXISTS");
    writeFileSync(path("Foreign"), "x");
    await fails(admin.relabel(name, "Foreign", ""), "STORE_EXISTS");
    assert.equal(await statusOf(storage, name), "Purged");
    const { record } = await admin.relabel(name, "Fresh", "Other");
    assert.deepEqual([record.name, record.poolName, record.status], ["Fresh", "Other", "Append"]);
    assert.equal(existsSync(path(name)), false);
    assert.match(readFileSync(path("Fresh"), "latin1"), /"volume":"Fresh".*"pool":"Other"/);
    const run = await storage.backup((fake) => fake.tree({ a: "a" }), { pool: "Other" });
    assert.equal(run.result.ok, true, run.result.reason);
    await admin.remove("Fresh", true).then(
      () => assert.fail(),
      () => undefined,
    );
    const other = await purged(storage);
    await admin.update(other, { status: "Recycle" });
    assert.equal(await statusOf(storage, other), "Recycle");
    await admin.remove(other, true);
    assert.equal(existsSync(path(other)), false);
    assert.equal(await statusOf(storage, other), undefined);
  }));

test("a Purged volume moves to its RecyclePool and is emptied, now or at the next start", () =>
  withStorage(
    [
      { ...POOL, recyclePool: "Spare", truncateOnPurge: true },
      { ...POOL, name: "Spare" },
    ],
    async (storage) => {
      const name = await purged(storage);
      const check = async () => {
        const [volume] = await storage.catalog.reader.listVolumes("", name);
        assert.deepEqual([volume?.poolName, volume?.status, volume?.frames], ["Spare", "Purged", 0]);
        assert.equal(statSync(join(storage.directory, name)).size, volume?.bytes);
        assert.ok(volume!.bytes < 1000);
      };
      await check();
      await storage.desk.admin.settlePurged();
      await check();
    },
  ));

test("withWriter: a volume that jobs write to or nobody does, of any status but Archive and Read-Only", () =>
  withStorage([POOL], async (storage) => {
    const note = (volume: { id: number; name: string }) =>
      storage.desk.withWriter(volume, async (writer) => {
        await writer.appendRecord(RecordKind.catalog, { op: "none", timeMs: 1 });
        const end = await writer.sync();
        await storage.catalog.writer.recordEnd(volume.id, end);
        return end;
      });
    await storage.backup((fake) => fake.tree({ a: "a" }));
    const [volume] = await storage.catalog.reader.listVolumes("", "Vol-0001");
    await storage.desk.admin.update("Vol-0001", { status: "Full" });
    const end = await note(volume!);
    assert.ok(end > volume!.bytes);
    await storage.desk.admin.update("Vol-0001", { status: "Append" });
    let during = 0;
    const failing = await storage.backup(
      async (fake) => {
        await fake.frame([{ key: "b", bytes: Buffer.from("b") }]);
        during = await note(volume!);
        fake.stream.destroy();
      },
      { jobName: "b" },
    );
    assert.equal(failing.result.ok, false);
    // The failed job's bytes lie in front of a record that counts: they stay.
    assert.equal(statSync(join(storage.directory, "Vol-0001")).size, during);
    for (const status of ["Archive", "Read-Only"]) {
      await storage.desk.admin.update("Vol-0001", { status });
      await fails(note(volume!), "VOLUME_READ_ONLY");
    }
    assert.deepEqual([...storage.desk.openVolumes], []);
  }));

test("what an interrupted labelling left does not block the name; any other file does", () =>
  withStorage([POOL], async (storage) => {
    const label = (name: string) =>
      encodeLabel(newLabel({ volume: name, pool: "Old", mediaType: "File", storage: "sd", createdMs: 5 }));
    const put = (name: string, bytes: Buffer) => writeFileSync(join(storage.directory, name), bytes);
    put("Empty", Buffer.alloc(0));
    put("Zeros", Buffer.alloc(200));
    put("Torn", label("Torn").subarray(0, 150));
    put("Whole", label("Whole"));
    for (const name of ["Empty", "Zeros", "Torn", "Whole"]) {
      const { record, path } = await storage.desk.label(name, "Full-Pool", "FileDevice", 0);
      assert.equal(record.bytes, statSync(path).size);
      assert.match(readFileSync(path, "latin1"), /"pool":"Full-Pool"/);
    }
    // As much for a volume that was added without a label.
    const order = { pool: "Full-Pool", device: "FileDevice", drive: 0, slot: 0 };
    await storage.desk.orders.add({ ...order, volume: "Added" }, false);
    for (const name of ["Empty", "Zeros", "Torn", "Whole"])
      await storage.desk.admin.update(name, { status: "Used" });
    put("Added", label("Added").subarray(0, 150));
    const run = await storage.backup((fake) => fake.tree({ a: "a" }));
    assert.deepEqual(run.result.volumes, ["Added"], run.messages.join("\n"));
    put("Notes", Buffer.from("somebody's notes"));
    put("Data", Buffer.concat([label("Data"), Buffer.from("a frame")]));
    put("Name", label("Another"));
    for (const name of ["Notes", "Data", "Name"])
      await fails(storage.desk.label(name, "Full-Pool", "FileDevice", 0), "STORE_EXISTS");
    assert.equal(readFileSync(join(storage.directory, "Notes"), "latin1"), "somebody's notes");
  }));

test("a volume that was recycled after the catalog's time is neither emptied nor recycled", () =>
  withStorage([{ ...POOL, recycle: true }], async (storage) => {
    const name = await purged(storage);
    const path = join(storage.directory, name);
    await storage.desk.admin.update(name, { status: "Recycle" });
    // The same name and storage, another life: it holds a job that this catalog has never heard of.
    const newer = newLabel({
      volume: name,
      pool: "Full-Pool",
      mediaType: "File",
      storage: "sd",
      createdMs: 9,
    });
    const bytes = Buffer.concat([encodeLabel(newer), Buffer.from("frames of a newer job")]);
    writeFileSync(path, bytes);
    await storage.desk.admin.settlePurged();
    await fails(storage.desk.admin.truncate(name), "VOLUME_MISLABELED");
    const run = await storage.backup((fake) => fake.tree({ a: "a" }));
    assert.equal(run.result.ok, true, run.result.reason);
    assert.notDeepEqual(run.result.volumes, [name]);
    assert.deepEqual(readFileSync(path), bytes);
    // A label and nothing else is what an interrupted recycling leaves.
    writeFileSync(path, encodeLabel(newer));
    await storage.desk.admin.settlePurged();
    assert.notDeepEqual(readFileSync(path), encodeLabel(newer));
  }));
