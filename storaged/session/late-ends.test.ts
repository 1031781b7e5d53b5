/** What ends a backup late: when its client has sent everything, or when nobody listens any more. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError } from "../../common/errors.js";
import { BackupKind } from "../../proto/data/backup.js";
import { noise } from "../faults/tree.js";
import { type FakeFiled, fileRow } from "./fake-filed.js";
import { type BackupRun, POOL, TestStorage } from "./testing.js";

let storage: TestStorage;
const MANY = { ...POOL, name: "Many", labelFormat: "Many-", maximumVolumeBytes: 9000 };
const ONE = { ...MANY, name: "One", labelFormat: "One-", maximumVolumes: 1 };
const OTHER = { ...ONE, name: "Other", labelFormat: "Other-" };

before(async () => {
  storage = await new TestStorage().open([MANY, ONE, OTHER]);
});
after(() => storage.close());

async function send(fake: FakeFiled, keys: string): Promise<void> {
  for (const key of keys) {
    const bytes = noise(key.charCodeAt(0), 3000);
    await fake.frame([{ key, bytes }]);
    await fake.rows([fileRow(key, bytes)]);
    await fake.stream.send(Buffer.concat([Buffer.of(BackupKind.mark), Buffer.from(key)]));
  }
}

const waits = async (run: BackupRun): Promise<void> => {
  while (!run.events.some(({ state }) => state?.state === "waiting")) await sleep(5);
};

async function listed(jobId: number): Promise<string> {
  const wanted = { jobIds: [jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  const jobs = await storage.catalog.listJobs(wanted);
  return jobs.map(({ type, status, files }) => `${type}${status}${files}`).join();
}

/** Runs the job; `reached` is called before the catalog's `step`, which waits for it. */
async function runWith(
  run: BackupRun,
  step: "finishRows" | "ending",
  reached: () => Promise<unknown>,
): Promise<void> {
  const { catalog } = storage;
  const { writer } = catalog;
  const slow = async (...words: [number, number]) => {
    await reached();
    return (writer[step] as (...words: number[]) => Promise<unknown>)(...words);
  };
  const held = new Proxy(writer, {
    get: (target, name) => (name === step ? slow : Reflect.get(target, name)),
  });
  Object.defineProperty(catalog, "writer", { value: held, configurable: true, writable: true });
  try {
    await run.run();
  } finally {
    Object.defineProperty(catalog, "writer", { value: writer, configurable: true, writable: true });
  }
}

test("a director that went away keeps no volume from being gone on to: the run is kept", async () => {
  const run = await storage.session(
    async (fake) => {
      await send(fake, "ab");
      run.events.push = () => {
        throw new BackupError("CONNECTION_LOST", "the director has gone");
      };
      await send(fake, "cdef");
      run.session.cancel("the director's connection was lost", false);
    },
    { pool: "Many", allowIncomplete: true },
  );
  await run.run();
  assert.equal(await listed(run.jobId), "IT6");
  assert.deepEqual([...storage.desk.openVolumes], [], "nobody uses a volume any more");
});

test("a stop behind the client's end, while a volume is waited for, keeps what is stored", async () => {
  const run = await storage.session((fake) => send(fake, "abcdef").then(() => fake.end()), {
    pool: "One",
    allowIncomplete: true,
  });
  const ended = run.run();
  await waits(run);
  // The messages behind the one that waits have been taken in.
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
  run.session.stop("by hand");
  await ended;
  assert.equal(run.result.incomplete, true, run.result.reason);
  assert.match(await listed(run.jobId), /^IT[12]$/);
});

test("a run of which everything is stored comes to its end, whatever stops it then", async () => {
  const run = await storage.session((fake) => send(fake, "ab").then(() => fake.end()), {
    pool: "Many",
    allowIncomplete: true,
  });
  await runWith(run, "ending", async () => {
    run.session.stop("by hand");
    run.session.cancel("the director's connection was lost", false);
  });
  assert.equal(run.result.ok, true, run.result.reason);
  assert.equal(await listed(run.jobId), "BT2");
});

test("a stop while there is no volume for the end of a run puts that on the last one", async () => {
  const run = await storage.session((fake) => send(fake, "ab").then(() => fake.end()), {
    pool: "Other",
    allowIncomplete: true,
  });
  // Its list does not fit any more.
  const ended = runWith(run, "finishRows", () => storage.desk.admin.update("Other-0001", { maxBytes: 1 }));
  await waits(run);
  run.session.stop("by hand");
  await ended;
  assert.equal(run.result.ok, true, run.result.reason);
  assert.deepEqual(run.result.volumes, ["Other-0001"]);
  assert.equal(await listed(run.jobId), "BT2");
});
