import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../common/log.js";
import { Catalog } from "./catalog/catalog.js";
import { recoverStorage } from "./recover.js";
import { type FakeFiled, fileRow } from "./session/fake-filed.js";
import { POOL, TestStorage } from "./session/testing.js";
import { VolumeFiles } from "./session/volume-files.js";

const sizeOf = (storage: TestStorage, name: string) => statSync(join(storage.directory, name)).size;

/** True when rows of a job that still runs have reached the catalog, and so has what came before them. */
async function hasRows(storage: TestStorage, jobId: number): Promise<boolean> {
  const query = { jobIds: [jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  const [job] = await storage.catalog.reader.listJobs(query);
  if (job === undefined) return false;
  for await (const block of storage.catalog.blocks([job.id])) if (block.length > 0) return true;
  return false;
}

async function recover({
  catalog,
  store,
  desk,
  devices,
  directory: workingDirectory,
}: TestStorage): Promise<void> {
  const log = createLog("test", { level: "silent" });
  const files = new VolumeFiles({ catalog, store, log, storage: "sd" });
  await recoverStorage({ catalog, store, files, desk, storage: "sd", devices, workingDirectory, log });
}

test("a job that was running when the daemon died is gone at the next start, and its bytes with it", async () => {
  const storage = await new TestStorage().open();
  try {
    await storage.backup((fake) => fake.tree({ kept: "kept" }));
    const size = sizeOf(storage, "Vol-0001");
    let sent: () => void = () => undefined;
    const halfway = new Promise<void>((resolve) => {
      sent = resolve;
    });
    const hang = async (fake: FakeFiled) => {
      await fake.frame([{ key: "lost", bytes: Buffer.from("lost") }]);
      await fake.rows([fileRow("lost", Buffer.from("lost"))]);
      sent();
    };
    const dying = await storage.session(hang, { jobName: "dying" });
    void dying.run();
    await halfway;
    while (!(await hasRows(storage, dying.jobId))) await new Promise(setImmediate);
    assert.ok(sizeOf(storage, "Vol-0001") > size);
    // The daemon dies: its catalog threads end in the middle, nothing is cleaned up.
    const { file } = storage.catalog;
    await storage.catalog.close();
    storage.catalog = await Catalog.open(file, () => undefined);
    storage.reopenDesk();
    await recover(storage);
    assert.equal(sizeOf(storage, "Vol-0001"), size);
    const [job] = await storage.catalog.reader.listJobs({
      ...{ jobIds: [dying.jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 },
    });
    assert.equal(job?.status, "E");
    const next = await storage.backup((fake) => fake.tree({ lost: "lost" }), { jobName: "after" });
    assert.equal(next.result.ok, true, next.result.reason);
    assert.equal(next.result.newContent, 1);
  } finally {
    await storage.close();
  }
});

test("a failed job between two others leaves its bytes until both have ended", async () => {
  const storage = await new TestStorage().open();
  try {
    await storage.backup((fake) => fake.tree({ first: "first" }));
    const outer = await storage.session(
      async (fake) => {
        await fake.frame([{ key: "outer", bytes: Buffer.from("outer") }]);
        const inner = await storage.backup(
          async (other) => {
            await other.frame([{ key: "inner", bytes: Buffer.from("inner") }]);
            other.stream.destroy();
          },
          { jobName: "inner" },
        );
        assert.equal(inner.result.ok, false);
        await fake.rows([fileRow("outer", Buffer.from("outer"))]);
        await fake.end();
      },
      { jobName: "outer" },
    );
    await outer.run();
    await outer.fake!.done;
    assert.equal(outer.result.ok, true, outer.result.reason);
    const [volume] = await storage.catalog.reader.listVolumes("", "Vol-0001");
    assert.equal(volume?.bytes, sizeOf(storage, "Vol-0001"));
    assert.equal(volume?.jobs, 2);
  } finally {
    await storage.close();
  }
});

test("limits: a volume that is full is followed by the next one, within a job and between jobs", async () => {
  const storage = new TestStorage();
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Bacula's
  await storage.open([{ ...POOL, maximumVolumeBytes: 4000, labelFormat: "Small-${NumVols:p/3/0/r}" }]);
  try {
    const files = Array.from({ length: 6 }, (_none, i) => ({
      key: `f${i}`,
      bytes: Buffer.from(noise(i, 1500)),
    }));
    const run = await storage.backup(async (fake) => {
      for (const file of files) await fake.frame([file]);
      await fake.rows(files.map(({ key, bytes }) => fileRow(key, bytes)));
      await fake.end();
    });
    assert.equal(run.result.ok, true, run.result.reason);
    assert.deepEqual(run.result.volumes?.slice(0, 3), ["Small-000", "Small-001", "Small-002"]);
    const volumes = await storage.catalog.reader.listVolumes("", "");
    for (const { name, bytes } of volumes) assert.equal(bytes, sizeOf(storage, name));
    assert.deepEqual(
      volumes.map(({ status }) => status),
      [...Array.from({ length: volumes.length - 1 }, () => "Full"), "Append"],
    );
    assert.ok(
      run.messages.some((text) => /^End of medium on Volume "Small-000" Bytes=\d+ Blocks=/.test(text)),
    );
    assert.ok(
      run.messages.some((text) =>
        text.startsWith('New volume "Small-001" mounted on File device "FileDevice"'),
      ),
    );
  } finally {
    await storage.close();
  }
});

test("a volume that reached its number of jobs is marked as Used", async () => {
  const storage = new TestStorage();
  await storage.open([{ ...POOL, maximumVolumeJobs: 1 }]);
  try {
    const first = await storage.backup((fake) => fake.tree({ a: "a" }));
    assert.ok(first.messages.includes('Max Volume jobs=1 exceeded. Marking Volume "Vol-0001" as Used.'));
    const second = await storage.backup((fake) => fake.tree({ b: "b" }));
    assert.deepEqual(second.result.volumes, ["Vol-0002"]);
  } finally {
    await storage.close();
  }
});

/** Bytes that do not compress, the same every time. */
function noise(seed: number, length: number): Buffer {
  const out = Buffer.alloc(length);
  for (let i = 0, state = seed * 7919 + 17; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    out[i] = state >>> 16;
  }
  return out;
}
