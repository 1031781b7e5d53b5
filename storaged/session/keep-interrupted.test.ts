import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { contentDigest } from "../../common/format/content.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { createLog } from "../../common/log.js";
import { BackupKind, decodeClaim, encodeClaim } from "../../proto/data/backup.js";
import { Catalog } from "../catalog/catalog.js";
import { recoverStorage } from "../recover.js";
import { type FakeFiled, fileRow } from "./fake-filed.js";
import { type BackupRun, TestStorage } from "./testing.js";
import { VolumeFiles } from "./volume-files.js";

let storage: TestStorage;
before(async () => {
  storage = await new TestStorage().open();
});
after(() => storage.close());

/** The daemon dies: its catalog threads end in the middle, and another process starts. */
async function dieAndStart(): Promise<void> {
  const { file } = storage.catalog;
  await storage.catalog.close();
  storage.catalog = await Catalog.open(file, () => undefined);
  storage.reopenDesk();
  const { catalog, store, desk, devices, directory: workingDirectory } = storage;
  const log = createLog("test", { level: "silent" });
  const files = new VolumeFiles({ catalog, store, log, storage: "sd" });
  await recoverStorage({ catalog, store, files, desk, storage: "sd", devices, workingDirectory, log });
  await storage.deleter.resume();
}

const contentOf = (name: string): Buffer => Buffer.from(`content of ${name}`);

/** Content of `names`, and the rows of `listed`. */
async function send(fake: FakeFiled, names: readonly string[], listed = names): Promise<void> {
  await fake.frame(names.map((key) => ({ key, bytes: contentOf(key) })));
  const rows = listed.map((key) => fileRow(key, contentOf(key)));
  await fake.rows(rows);
  await fake.state(rows.map((row) => ({ ...row, state: { ctimeSec: 5, ctimeNsec: 6, inode: 7, links: 1 } })));
}

const mark = (fake: FakeFiled, key: string) =>
  fake.stream.send(Buffer.concat([Buffer.of(BackupKind.mark), Buffer.from(key)]));

async function listed({ jobId }: BackupRun) {
  const query = { jobIds: [jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  const [job] = await storage.catalog.listJobs(query);
  assert.ok(job !== undefined);
  return job;
}

/** Rows in the catalog of a job that runs: what came before them is there too. */
async function rowsOf(run: BackupRun): Promise<number> {
  const { id } = await listed(run);
  let rows = 0;
  for await (const block of storage.catalog.blocks([id])) rows += block.length > 0 ? 1 : 0;
  return rows;
}

/** A run that has sent `a` and `b`, a mark with a checkpoint, and `c` behind that. */
async function halfway(wanted: object): Promise<BackupRun> {
  let run: BackupRun | undefined;
  const sent = new Promise<void>((resolve) => {
    const filed = async (fake: FakeFiled) => {
      await send(fake, ["a", "b"]);
      await mark(fake, "b");
      await send(fake, ["c"]);
      resolve();
    };
    void storage.session(filed, { allowIncomplete: true, checkpoints: true, ...wanted }).then((session) => {
      run = session;
      void session.run();
    });
  });
  await sent;
  while ((await rowsOf(run!)) < 2) await new Promise(setImmediate);
  return run!;
}

test("a job in whose middle the daemon died is kept as far as its checkpoint, and goes on from there", async () => {
  const facts = { jobName: "dying", client: "dying-fd" };
  const run = await halfway(facts);
  await dieAndStart();
  const kept = await listed(run);
  assert.equal(`${String(kept.type)}${kept.status}${kept.files}`, "IT2");
  let known: number[] = [];
  const next = await storage.backup(
    async (fake) => {
      const own = (await fake.list(0)).flatMap((block) => decodeBlock(block));
      assert.deepEqual(
        own.map(({ key }) => key),
        ["a", "b"],
      );
      const digests = ["a", "b"].map((key) => contentDigest(contentOf(key)));
      await fake.stream.send(encodeClaim(BackupKind.claim, 1, Buffer.concat(digests)));
      known = [...decodeClaim(await fake.receive()).data];
      await send(fake, ["c"], ["a", "b", "c"]);
      await fake.end();
    },
    { allowIncomplete: true, resume: run.jobId, ...facts },
  );
  assert.equal(next.result.ok, true, next.result.reason);
  assert.deepEqual(known, [1, 1]);
});

test("what cannot be kept has failed: no mark yet, kept not allowed, canceled before", async () => {
  const none = await halfway({ jobName: "none", client: "none-fd", checkpoints: false });
  const never = await halfway({ jobName: "never", client: "never-fd", allowIncomplete: false });
  const canceled = await halfway({ jobName: "canceled", client: "canceled-fd" });
  canceled.session.cancel("canceled by the test");
  while (canceled.result.ok === undefined) await new Promise(setImmediate);
  await dieAndStart();
  for (const [run, status] of [
    [none, "E"],
    [never, "E"],
    [canceled, "A"],
  ] as const)
    assert.equal((await listed(run)).status, status);
});

test("a volume that holds more than the catalog knows: nothing is kept beside it", async () => {
  const run = await halfway({ jobName: "older", client: "older-fd" });
  const [volume] = await storage.catalog.reader.listVolumes("", "Vol-0001");
  await storage.catalog.writer.setVolumeStatus(volume!.id, "Read-Only");
  await dieAndStart();
  assert.equal((await listed(run)).status, "E");
});
