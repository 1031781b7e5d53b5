/** What reaches a backup while it is being kept as incomplete. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BackupError } from "../../common/errors.js";
import { BackupKind } from "../../proto/data/backup.js";
import { Survey } from "../volume/extract/survey.js";
import { fileRow } from "./fake-filed.js";
import { type BackupRun, TestStorage } from "./testing.js";

let storage: TestStorage;

before(async () => {
  storage = await new TestStorage().open();
});
after(() => storage.close());

/** A run that breaks off behind a mark; `reached` is called when its end record is about to be written. */
async function cut(jobName: string, reached: (run: BackupRun) => void): Promise<BackupRun> {
  const { catalog } = storage;
  const { writer } = catalog;
  const run = await storage.session(
    async (fake) => {
      const bytes = Buffer.from(`content of ${jobName}`);
      await fake.frame([{ key: "a", bytes }]);
      await fake.rows([fileRow("a", bytes)]);
      await fake.stream.send(Buffer.concat([Buffer.of(BackupKind.mark), Buffer.from("a")]));
      await new Promise((resolve) => setTimeout(resolve, 50));
      fake.stream.destroy(new BackupError("CONNECTION_LOST", "cut"));
    },
    { jobName, client: `${jobName}-fd`, allowIncomplete: true },
  );
  let times = 0;
  const ending: typeof writer.ending = async (...words) => {
    times++;
    reached(run);
    await writer.ending(...words);
  };
  const held = new Proxy(writer, {
    get: (target, name) => (name === "ending" ? ending : Reflect.get(target, name)),
  });
  Object.defineProperty(catalog, "writer", { value: held, configurable: true, writable: true });
  try {
    await run.run();
  } finally {
    Object.defineProperty(catalog, "writer", { value: writer, configurable: true, writable: true });
  }
  assert.equal(times, 1, "it was being kept");
  return run;
}

async function listed(jobId: number): Promise<string> {
  const wanted = { jobIds: [jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  const jobs = await storage.catalog.listJobs(wanted);
  return jobs.map(({ type, status, files }) => `${type}${status}${files}`).join();
}

/** Is there a job with this number for a reader that has the volume alone? */
async function isOnVolume({ result, jobId }: BackupRun): Promise<boolean> {
  const paths = (result.volumes ?? []).map((name) => join(storage.directory, name));
  const survey = await Survey.of(storage.store, paths, async (text) => assert.fail(text));
  try {
    return survey.job(String(jobId)) !== undefined;
  } finally {
    await survey.close();
  }
}

test("an operator's cancel ends even that: nothing of the run counts, on the volume neither", async () => {
  const run = await cut("canceled", ({ session }) => session.cancel("by hand"));
  const { ok, canceled, incomplete, reason } = run.result;
  assert.deepEqual([ok, canceled, incomplete], [false, true, false]);
  assert.match(reason ?? "", /by hand/);
  assert.equal(await listed(run.jobId), "BA0");
  assert.equal(await isOnVolume(run), false);
});

test("the end of a connection or of the daemon, and a stop, do not disturb it", async () => {
  const run = await cut("kept", ({ session }) => {
    session.cancel("the director's connection was lost", false);
    session.stop("stopped too");
  });
  const { ok, canceled, incomplete } = run.result;
  assert.deepEqual([ok, canceled, incomplete], [false, undefined, true]);
  assert.equal(await listed(run.jobId), "IT1");
  assert.equal(await isOnVolume(run), true);
});
