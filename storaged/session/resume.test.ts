/** What keeps attempts of one backup apart, and what of them is kept whatever happens while one ends. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError } from "../../common/errors.js";
import { contentDigest } from "../../common/format/content.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { BackupKind, decodeClaim, encodeClaim, encodeJson, NO_TOTALS } from "../../proto/data/backup.js";
import { noise } from "../faults/tree.js";
import { Survey } from "../volume/extract/survey.js";
import { type FakeFiled, fileRow } from "./fake-filed.js";
import { type BackupRun, POOL, TestStorage } from "./testing.js";

let storage: TestStorage;
const PLAIN = { ...POOL, name: "Plain", labelFormat: "Plain-", deduplicate: false };
const SMALL = { ...POOL, name: "Small", labelFormat: "Small-", maximumVolumes: 1, maximumVolumeBytes: 9000 };
const ALONE = { ...POOL, name: "Alone", labelFormat: "Alone-" };

before(async () => {
  storage = await new TestStorage().open([POOL, PLAIN, SMALL, ALONE]);
});
after(() => storage.close());

const bytesOf = (key: string) => noise(key.charCodeAt(0), 3000);

async function send(fake: FakeFiled, keys: string): Promise<void> {
  const files = [...keys].map((key) => ({ key, bytes: bytesOf(key) }));
  await fake.frame(files);
  await fake.rows(files.map(({ key, bytes }) => fileRow(key, bytes)));
  const state = { ctimeSec: 5, ctimeNsec: 6, inode: 7, links: 1 };
  await fake.state(files.map(({ key, bytes }) => ({ ...fileRow(key, bytes), state })));
}

const mark = (fake: FakeFiled, key: string) =>
  fake.stream.send(Buffer.concat([Buffer.of(BackupKind.mark), Buffer.from(key)]));

async function stop(fake: FakeFiled): Promise<void> {
  const end = { ok: false, incomplete: true, reason: "stopped", totals: NO_TOTALS };
  await fake.stream.send(encodeJson(BackupKind.end, end));
  await fake.receive();
}

/** An attempt that sends what it is not given by the one before, and is stopped behind it. */
async function attempt(wanted: object, keys: string, resume?: number): Promise<BackupRun> {
  return storage.backup(
    async (fake) => {
      const own = resume === undefined ? [] : (await fake.list(0)).flatMap((block) => decodeBlock(block));
      if (own.length > 0) await fake.rows(own.map((row) => ({ ...row, state: undefined })));
      await send(fake, keys);
      await mark(fake, keys.at(-1)!);
      await stop(fake);
    },
    { allowIncomplete: true, ...wanted, ...(resume === undefined ? {} : { resume }) },
  );
}

async function until(what: () => boolean): Promise<void> {
  while (!what()) await sleep(5);
}

const waiting = (run: BackupRun) => run.events.some(({ state }) => state?.state === "waiting");

test("each attempt has a revision of its own, and an extraction takes what was finished", async () => {
  const wanted = { jobName: "revised", client: "revised-fd", pool: "Alone" };
  const whole = await storage.backup((fake) => fake.tree({ z: "whole" }), { ...wanted, jobName: "whole" });
  const first = await attempt(wanted, "ab");
  await attempt(wanted, "cd", first.jobId);
  const survey = await Survey.of(
    storage.store,
    [join(storage.directory, "Alone-0001")],
    async () => undefined,
  );
  try {
    assert.equal(survey.job(undefined)?.jobId, whole.jobId);
    const torn = survey.job(`${first.jobId}`);
    assert.deepEqual([torn?.revision, torn?.torn], [2, true]);
    assert.deepEqual(survey.jobIds(9), [whole.jobId, first.jobId]);
  } finally {
    await survey.close();
  }
});

test("a JobId that was finished is not begun again, nor one that has not ended", async () => {
  const wanted = { jobName: "done", client: "done-fd" };
  const first = await storage.backup((fake) => fake.tree({ a: "one" }), wanted);
  const facts = { jobName: "done", client: "done-fd", fileSet: "All", fileSetDigest: "d", level: "Full" };
  const more = { base: [], ignoreFileSetChanges: false, jobId: first.jobId, job: "done.x" };
  assert.equal((await storage.catalog.reader.resolve({ ...facts, ...more })).committed, true);
  const again = await storage.backup((fake) => fake.tree({ a: "two" }), { ...wanted, resume: first.jobId });
  assert.match(again.result.reason ?? "", /is a finished backup of this storage already/);
  const slow = await storage.session(async (fake) => void (await fake.receive()), wanted);
  const ended = slow.run();
  await until(() => slow.fake?.start !== undefined);
  const beside = await storage.backup((fake) => fake.tree({}), { ...wanted, resume: slow.jobId });
  assert.match(beside.result.reason ?? "", /has not ended on this storage yet/);
  slow.session.cancel("enough");
  await ended;
});

test("a connection that breaks under a question or a list keeps what came before", async () => {
  const wanted = { jobName: "asked", client: "asked-fd", allowIncomplete: true };
  const first = await storage.backup(async (fake) => {
    await send(fake, "ab");
    await mark(fake, "b");
    await fake.stream.send(encodeClaim(BackupKind.claim, 1, contentDigest(bytesOf("a"))));
    fake.stream.destroy(new BackupError("CONNECTION_LOST", "cut"));
  }, wanted);
  assert.equal(first.result.incomplete, true, first.result.reason);
  assert.equal(first.result.files, 2);
  const second = await storage.backup(
    async (fake) => {
      const own = (await fake.list(0)).flatMap((block) => decodeBlock(block));
      await fake.rows(own.map((row) => ({ ...row, state: undefined })));
      await send(fake, "c");
      await mark(fake, "c");
      await fake.stream.send(Buffer.of(BackupKind.listCredit, 0, 1));
      await fake.stream.send(encodeClaim(BackupKind.claim, 1, contentDigest(bytesOf("a"))));
      fake.stream.destroy(new BackupError("CONNECTION_LOST", "cut"));
    },
    { ...wanted, resume: first.jobId },
  );
  assert.equal(second.result.files, 3, second.result.reason);
});

test("a stop while a volume is waited for keeps what was sent before, without waiting", async () => {
  const wanted = { jobName: "waits", client: "waits-fd", pool: "Small", allowIncomplete: true };
  const run = await storage.session(async (fake) => {
    for (const key of "abcdef") {
      await send(fake, key);
      await mark(fake, key);
    }
    await fake.receive();
  }, wanted);
  const ended = run.run();
  await until(() => waiting(run));
  run.session.stop("by hand");
  await ended;
  assert.equal(run.result.incomplete, true, run.result.reason);
  const files = Number(run.result.files);
  assert.ok(files >= 1 && files < 6, `${files} files`);
  assert.deepEqual(run.result.volumes, ["Small-0001"]);
});

test("without deduplication a third attempt still names what the first one stored", async () => {
  const wanted = { jobName: "third", client: "third-fd", pool: "Plain" };
  const first = await attempt(wanted, "ab");
  await attempt(wanted, "cd", first.jobId);
  const third = await storage.backup(
    async (fake) => {
      const own = (await fake.list(0)).flatMap((block) => decodeBlock(block));
      assert.equal(own.map(({ key }) => key).join(""), "abcd");
      const digests = own.map(({ content }) => content!);
      await fake.stream.send(encodeClaim(BackupKind.claim, 1, Buffer.concat(digests)));
      assert.deepEqual([...decodeClaim(await fake.receive()).data], [1, 1, 1, 1]);
      await fake.rows(own.map((row) => ({ ...row, state: undefined })));
      await fake.end();
    },
    { ...wanted, allowIncomplete: true, resume: first.jobId },
  );
  assert.equal(third.result.ok, true, third.result.reason);
});

test("nobody waits until the run before is removed", async () => {
  const wanted = { jobName: "told", client: "told-fd" };
  const first = await attempt(wanted, "ab");
  const { deleter } = storage;
  const remove = deleter.delete.bind(deleter);
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  deleter.delete = async (jobs) => {
    await held;
    return remove(jobs);
  };
  const second = await storage.session(
    async (fake) => {
      const own = (await fake.list(0)).flatMap((block) => decodeBlock(block));
      await fake.rows(own.map((row) => ({ ...row, state: undefined })));
      await fake.end();
    },
    { ...wanted, allowIncomplete: true, resume: first.jobId },
  );
  await second.session.run();
  assert.equal(second.result.ok, true, second.result.reason);
  release();
  await second.session.after;
  deleter.delete = remove;
});
