import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BackupError } from "../../common/errors.js";
import { contentDigest } from "../../common/format/content.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { BackupKind, decodeClaim, encodeClaim, encodeJson, NO_TOTALS } from "../../proto/data/backup.js";
import { type FakeFiled, fileRow } from "./fake-filed.js";
import { POOL, TestStorage } from "./testing.js";

let storage: TestStorage;
const PLAIN = { ...POOL, name: "Plain", labelFormat: "Plain-", deduplicate: false };

before(async () => {
  storage = await new TestStorage().open([POOL, PLAIN]);
});
after(() => storage.close());

const file = (key: string, text: string) => ({ key: key.replaceAll("/", "\0"), bytes: Buffer.from(text) });
const STATE = { ctimeSec: 5, ctimeNsec: 6, inode: 7, links: 1 };

async function send(fake: FakeFiled, files: readonly ReturnType<typeof file>[]): Promise<void> {
  await fake.frame(files);
  const rows = files.map(({ key, bytes }) => fileRow(key, bytes));
  await fake.rows(rows);
  await fake.state(rows.map((row) => ({ ...row, state: STATE })));
}

const mark = (fake: FakeFiled, key: string) =>
  fake.stream.send(Buffer.concat([Buffer.of(BackupKind.mark), Buffer.from(key.replaceAll("/", "\0"))]));

/** Ends as a client that was told to stop; resolves with what storaged answers. */
async function stop(fake: FakeFiled): Promise<number> {
  const end = { ok: false, incomplete: true, reason: "stopped", totals: NO_TOTALS };
  await fake.stream.send(encodeJson(BackupKind.end, end));
  return (await fake.receive())[0]!;
}

const listed = async (jobId: number) =>
  (
    await storage.catalog.listJobs({
      ...{ jobIds: [jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 },
    })
  ).map(({ type, status, files }) => `${type}${status}${files}`);

/** A run that is stopped behind `a` and `b`, and one of them is behind the mark. */
const interrupted = (wanted: object) =>
  storage.backup(
    async (fake) => {
      assert.equal(fake.start.marks, true);
      await send(fake, [file("a", "one"), file("b", "two")]);
      await mark(fake, "b");
      await send(fake, [file("c", "three")]);
      assert.equal(await stop(fake), BackupKind.committed);
    },
    { allowIncomplete: true, ...wanted },
  );

test("a stopped job stays as incomplete, and going on with it takes its place", async () => {
  const wanted = { jobName: "stopped", client: "stopped-fd" };
  const first = await interrupted(wanted);
  assert.equal(first.result.ok, false);
  assert.equal(first.result.incomplete, true);
  assert.equal(first.result.canceled, undefined);
  assert.deepEqual(first.result.volumes, ["Vol-0001"]);
  assert.deepEqual(await listed(first.jobId), ["IT3"]);
  const facts = { jobName: "stopped", client: "stopped-fd", fileSet: "All", fileSetDigest: "d" };
  const more = { base: [], ignoreFileSetChanges: false };
  const found = await storage.catalog.reader.resolve({
    ...{ ...facts, ...more, level: "Incremental", resumeJobId: first.jobId },
  });
  assert.equal(found.incompleteFiles, 3);
  assert.equal(found.upgraded, "no-prior-full", "an incomplete Full is nothing to build on");
  assert.equal(found.ownNewest, 0);

  const second = await storage.backup(
    async (fake) => {
      assert.deepEqual(fake.start.lists, [{ role: "own", jobId: first.jobId }]);
      assert.equal(fake.start.ownIsParent, false);
      const own = (await fake.list(0)).flatMap((block) => decodeBlock(block));
      // What came behind the mark is not vouched for.
      assert.deepEqual(
        own.map(({ key, state }) => [key, state?.inode]),
        [
          ["a", 7],
          ["b", 7],
        ],
      );
      const rows = [
        ...own.map((row) => ({ ...row, state: undefined })),
        fileRow("c", Buffer.from("three")),
        fileRow("d", Buffer.from("four")),
      ];
      await fake.frame([file("d", "four")]);
      await fake.rows(rows);
      await fake.state(rows.map((row) => ({ ...row, state: STATE })));
      await fake.end();
    },
    { ...wanted, allowIncomplete: true, resume: first.jobId },
  );
  assert.equal(second.result.reason, undefined);
  assert.equal(second.jobId, first.jobId);
  assert.equal(second.result.files, 4);
  assert.deepEqual(await listed(first.jobId), ["BT4"], "the incomplete run is gone");
});

test("in a pool without deduplication the resumed job names what was stored before", async () => {
  const wanted = { jobName: "plain", client: "plain-fd", pool: "Plain" };
  const first = await interrupted(wanted);
  assert.equal(first.result.incomplete, true);
  const second = await storage.backup(
    async (fake) => {
      const own = (await fake.list(0)).flatMap((block) => decodeBlock(block));
      assert.equal(own.length, 2);
      const digests = [...own.map(({ content }) => content!), contentDigest(Buffer.from("one, not stored"))];
      await fake.stream.send(encodeClaim(BackupKind.claim, 7, Buffer.concat(digests)));
      assert.deepEqual([...decodeClaim(await fake.receive()).data], [1, 1, 0]);
      await fake.rows(own.map((row) => ({ ...row, state: undefined })));
      await fake.end();
    },
    { ...wanted, resume: first.jobId },
  );
  assert.equal(second.result.reason, undefined);
  assert.deepEqual(second.result.volumes, ["Plain-0001"]);
});

test("a connection that breaks leaves an incomplete job; one without a mark leaves nothing", async () => {
  const wanted = { jobName: "cut", client: "cut-fd", allowIncomplete: true };
  const cut = await storage.backup(async (fake) => {
    await send(fake, [file("a", "one")]);
    await mark(fake, "a");
    await new Promise((resolve) => setTimeout(resolve, 50));
    fake.stream.destroy(new BackupError("CONNECTION_LOST", "cut"));
  }, wanted);
  assert.equal(cut.result.incomplete, true);
  assert.deepEqual(await listed(cut.jobId), ["IT1"]);
  const early = await storage.backup(async (fake) => {
    await send(fake, [file("a", "one")]);
    fake.stream.destroy(new BackupError("CONNECTION_LOST", "cut"));
  }, wanted);
  assert.equal(early.result.incomplete, false);
  assert.deepEqual(await listed(early.jobId), ["BE0"]);
});

test("what the job does not allow, a cancel, and a client that lied keep nothing", async () => {
  const wanted = { jobName: "not", client: "not-fd" };
  const forbidden = await storage.backup(async (fake) => {
    assert.equal(fake.start.marks, false);
    await send(fake, [file("a", "one")]);
    await mark(fake, "a");
    await stop(fake);
  }, wanted);
  assert.equal(forbidden.result.incomplete, false);
  const canceled = await storage.session(
    async (fake) => {
      await send(fake, [file("a", "one")]);
      await mark(fake, "a");
      await new Promise((resolve) => setTimeout(resolve, 30));
      canceled.session.cancel("by hand");
      await fake.receive();
    },
    { ...wanted, allowIncomplete: true },
  );
  await canceled.run();
  assert.equal(canceled.result.canceled, true);
  assert.equal(canceled.result.incomplete, false);
  const lied = await storage.backup(
    async (fake) => {
      await send(fake, [file("a", "one")]);
      await mark(fake, "a");
      await fake.rows([fileRow("b", Buffer.from("never sent"))]);
      await stop(fake);
    },
    { ...wanted, allowIncomplete: true },
  );
  assert.equal(lied.result.incomplete, false);
  for (const run of [forbidden, canceled, lied]) assert.match((await listed(run.jobId)).join(), /^B[AE]0$/);
});

test("going on that breaks off before the former end keeps the former run", async () => {
  const wanted = { jobName: "twice", client: "twice-fd", allowIncomplete: true };
  const first = await interrupted(wanted);
  const second = await storage.backup(
    async (fake) => {
      const own = (await fake.list(0)).flatMap((block) => decodeBlock(block));
      await fake.rows(own.slice(0, 1).map((row) => ({ ...row, state: undefined })));
      await mark(fake, "a");
      await stop(fake);
    },
    { ...wanted, resume: first.jobId },
  );
  assert.equal(second.result.incomplete, true);
  assert.deepEqual((await listed(first.jobId)).sort(), ["BE0", "IT3"]);
});
