import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { contentDigest } from "../../common/format/content.js";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import {
  BackupKind,
  encodeBlock,
  encodeClaim,
  encodeFrame,
  encodeJson,
  encodeParts,
} from "../../proto/data/backup.js";
import { blockOf, type FakeFiled, fileRow, frameOf, type Side } from "./fake-filed.js";
import { POOL, TestStorage } from "./testing.js";

let storage: TestStorage;
before(async () => {
  storage = await new TestStorage().open([POOL, { ...POOL, name: "Manual", labelFormat: "" }]);
});
after(() => storage.close());

const bytes = (text: string) => Buffer.from(text);

test("a Full is committed with its messages, and its own list comes back with state", async () => {
  const run = await storage.backup((fake) =>
    fake.tree({ "etc/passwd": "root", "etc/group": "wheel" }, ["etc"]),
  );
  assert.deepEqual(run.result.reason, undefined);
  assert.equal(run.result.ok, true);
  assert.equal(run.result.files, 3);
  assert.deepEqual(run.result.volumes, ["Vol-0001"]);
  assert.equal(
    run.messages[1],
    `Labeled new Volume "Vol-0001" on File device "FileDevice" (${storage.directory}).`,
  );
  assert.equal(run.messages[0], 'Using Device "FileDevice" to write.');
  assert.equal(run.fake!.start.selfContained, true);
  const next = await storage.backup(
    async (fake) => {
      assert.deepEqual(fake.start.lists, [{ role: "own", jobId: run.jobId }]);
      assert.equal(fake.start.ownIsParent, true);
      const rows = (await fake.list(0)).flatMap((block) => decodeBlock(block));
      assert.deepEqual(
        rows.map(({ key, state }) => [key, state?.inode]),
        [
          ["etc", 7],
          ["etc\0group", 7],
          ["etc\0passwd", 7],
        ],
      );
      await fake.state(rows);
      await fake.end();
    },
    { level: "Incremental" },
  );
  assert.equal(next.result.ok, true);
  assert.equal(next.result.rows, 0);
});

test("claims know what the pool has and what this job sent", async () => {
  let answers: number[] = [];
  const run = await storage.backup(
    async (fake) => {
      const digests = ["root", "nowhere", "fresh"].map((text) => contentDigest(bytes(text)));
      await fake.frame([{ key: "fresh", bytes: bytes("fresh") }]);
      await fake.stream.send(encodeClaim(BackupKind.claim, 9, Buffer.concat(digests)));
      const answer = await fake.receive();
      assert.equal(answer[0], BackupKind.claimAnswer);
      assert.equal(answer.readUInt32LE(1), 9);
      answers = [...answer.subarray(5)];
      await fake.end();
    },
    { jobName: "other", client: "other-fd" },
  );
  assert.equal(run.result.ok, true, run.result.reason);
  assert.deepEqual(answers, [1, 0, 1]);
});

/** Runs a job that must fail, and checks that nothing of it stayed. */
async function refused(filed: (fake: FakeFiled) => Promise<void>, reason: RegExp): Promise<void> {
  const volumes = () =>
    readdirSync(storage.directory)
      .filter((name) => name.startsWith("Vol-"))
      .map((name) => [name, statSync(join(storage.directory, name)).size]);
  const before = volumes();
  const run = await storage.backup(filed, { jobName: "hostile" });
  assert.equal(run.result.ok, false);
  assert.match(run.result.reason ?? "", reason);
  const [job] = await storage.catalog.reader.listJobs({
    ...{ jobIds: [run.jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 },
  });
  assert.equal(job?.status, "E");
  assert.deepEqual(volumes(), before);
  const blocks = storage.catalog.blocks([job!.id]);
  assert.equal((await blocks.next()).done, true);
}

test("the message of each frame is released, and nothing is read out of it afterwards", async () => {
  const run = await storage.backup(async (fake) => {
    for (const key of ["one", "two", "three"]) await fake.frame([{ key, bytes: bytes(`released ${key}`) }]);
    await fake.end();
  });
  assert.equal(run.result.ok, true);
  assert.equal((run.fake!.stream as Side).other.released, 3);
});

test("a frame with a wrong digest fails the job and leaves nothing", () =>
  refused(async (fake) => {
    const frame = frameOf(fake.jobId, [{ key: "a", bytes: bytes("evil") }]);
    frame.entries[0]!.digest = contentDigest(bytes("good"));
    await fake.stream.send(encodeFrame(frame.rawBytes, frame.entries, frame.data));
    await fake.end();
  }, /Frame refused/));

test("a truncated frame fails the job", () =>
  refused(async (fake) => {
    const frame = frameOf(fake.jobId, [{ key: "a", bytes: bytes("evil") }]);
    await fake.stream.send(encodeFrame(frame.rawBytes, frame.entries, frame.data.subarray(0, -3)));
    await fake.end();
  }, /Frame refused/));

test("rows may name only content that is there", () =>
  refused(async (fake) => {
    await fake.rows([fileRow("a", bytes("never sent"))]);
    await fake.end();
  }, /a row with unknown content/));

test("a row's length must be its content's", () =>
  refused(async (fake) => {
    await fake.frame([{ key: "a", bytes: bytes("four") }]);
    await fake.rows([{ ...fileRow("a", bytes("four")), size: 5 }]);
    await fake.end();
  }, /a row with unknown content/));

test("rows out of order fail the job, within a block and between blocks", async () => {
  await refused(async (fake) => {
    await fake.rows([emptyRow("b", EntryType.directory)]);
    await fake.rows([emptyRow("a", EntryType.directory)]);
    await fake.end();
  }, /rows out of path order/);
  await refused(async (fake) => {
    await fake.rows([emptyRow("a", EntryType.fifo), emptyRow("a\0b", EntryType.fifo)]);
    await fake.end();
  }, /below something that is no directory/);
});

test("garbled rows, unknown kinds and an early close fail the job", async () => {
  await refused(async (fake) => {
    const block = blockOf([emptyRow("a", EntryType.directory)]);
    await fake.stream.send(encodeBlock(BackupKind.rows, block.subarray(0, block.length - 2)));
    await fake.end();
  }, /garbled rows/);
  await refused(async (fake) => {
    await fake.stream.send(Buffer.of(99));
    await fake.end();
  }, /unknown kind 99/);
  await refused(async (fake) => {
    await fake.frame([{ key: "a", bytes: bytes("some") }]);
    fake.stream.destroy();
  }, /connection/);
  await refused(async (fake) => {
    await fake.stream.send(encodeJson(BackupKind.end, { ok: false, reason: "root is missing" }));
  }, /^root is missing$/);
});

test("a parts list must have the identity, the size and the parts it claims", async () => {
  const digest = contentDigest(bytes("part"));
  const parts = Buffer.alloc(36);
  parts.writeUInt32LE(4, 0);
  digest.copy(parts, 4);
  const send = (fake: FakeFiled, size: number, identity: Buffer) =>
    fake.stream.send(encodeParts({ sequence: 1, parts, last: { size, identity } }));
  await refused(async (fake) => {
    await send(fake, 4, digest);
    await fake.end();
  }, /parts with unknown content/);
  await refused(async (fake) => {
    await fake.frame([{ key: ".basalt/parts/x", bytes: bytes("part") }]);
    await send(fake, 4, digest);
    await fake.end();
  }, /Frame refused|wrong identity/);
});

test("a job without a volume waits, says so, and goes on after a label", async () => {
  const waiting = await storage.session((fake) => fake.tree({ a: "manual" }), {
    jobName: "manual",
    pool: "Manual",
  });
  const ended = waiting.run();
  while (!waiting.events.some(({ state }) => state?.state === "waiting")) await new Promise(setImmediate);
  assert.match(waiting.messages[0] ?? "", /^Job manual\.x is waiting\. Cannot find any appendable volumes\./);
  await storage.desk.label("Hand-1", "Manual", "FileDevice", 0);
  await ended;
  assert.equal(waiting.result.ok, true, waiting.result.reason);
  assert.ok(
    waiting.messages.includes(
      `Wrote label to prelabeled Volume "Hand-1" on File device "FileDevice" (${storage.directory})`,
    ),
  );
});

test("a cancel while waiting for a volume ends the job as canceled", async () => {
  await storage.catalog.writer.syncPools([{ ...POOL, name: "Empty", labelFormat: "" }]);
  const waiting = await storage.session((fake) => fake.tree({ a: "b" }), { jobName: "never", pool: "Empty" });
  const ended = waiting.run();
  while (!waiting.events.some(({ state }) => state?.state === "waiting")) await new Promise(setImmediate);
  waiting.session.cancel("by test");
  await ended;
  assert.equal(waiting.result.canceled, true);
  assert.equal(waiting.result.reason, "by test");
});
