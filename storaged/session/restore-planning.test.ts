import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { codeOf } from "../../common/errors.js";
import { createLog } from "../../common/log.js";
import { RestoreKind } from "../../proto/data/restore.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { SelectionRule } from "../catalog/listing-types.js";
import { streamPair } from "./fake-filed.js";
import { RestoreSession } from "./restore-session.js";
import { TestStorage } from "./testing.js";

let storage: TestStorage;
before(async () => {
  storage = await new TestStorage().open();
});
after(() => storage.close());

const ALL: SelectionRule[] = [{ key: "", include: true, recursive: true }];

test("no content is handed out before the plan is whole and its volumes are held", async () => {
  const { jobId } = await storage.backup((fake) => fake.tree({ "d/early": "bird" }, ["d"]), {
    jobName: "early",
  });
  const { catalog, store, devices, directory } = storage;
  const { writer } = catalog;
  const kinds: number[] = [];
  const [mine, theirs] = streamPair();
  const receiving = (async () => {
    for await (const message of theirs.incoming) kinds.push(message[0]!);
  })().catch(() => undefined);
  const held = new Proxy(writer, {
    get: (target, name) => (name === "hold" ? purged : Reflect.get(target, name)),
  });
  let serving: Promise<unknown> | undefined;
  // A volume goes while the client has begun to fetch.
  const purged: typeof writer.hold = async () => {
    while (kinds.length === 0) await new Promise(setImmediate);
    return false;
  };
  Object.defineProperty(catalog, "writer", { value: held, configurable: true, writable: true });
  const log = createLog("test", { level: "silent" });
  const deps = { catalog, store, log, workingDirectory: directory, devices: () => devices };
  const facts = {
    jobId: 98,
    jobUuid: "e",
    job: "restore",
    ticket: "",
    client: "vm-fd",
    filedTimeoutSec: 5,
    images: false,
  };
  const results: JobEvent[] = [];
  const session = new RestoreSession(
    deps,
    { ...facts, selection: { jobIds: [jobId], rules: [] } },
    ALL,
    async (event) => {
      if (event.result) results.push(event);
      if (event.state?.state !== "ready") return;
      serving = session.serve(mine).catch((error: unknown) => {
        mine.destroy();
        return error;
      });
    },
  );
  try {
    await session.run();
  } finally {
    Object.defineProperty(catalog, "writer", { value: writer, configurable: true, writable: true });
  }
  assert.equal(codeOf(await serving), "VOLUME_PURGED");
  await receiving;
  assert.deepEqual([...new Set(kinds)], [RestoreKind.make]);
  assert.equal(results[0]?.result?.ok, false);
  assert.match(results[0]?.result?.reason ?? "", /a volume was purged while the restore was planned/);
  await assert.rejects(session.serve(streamPair()[0]), /being fetched already/);
});

test("a list that is no longer there fails before a client is called", async () => {
  const { catalog, store, devices, directory } = storage;
  const log = createLog("test", { level: "silent" });
  const deps = { catalog, store, log, workingDirectory: directory, devices: () => devices };
  const facts = {
    jobId: 97,
    jobUuid: "n",
    job: "restore",
    ticket: "",
    client: "vm-fd",
    filedTimeoutSec: 5,
    images: false,
  };
  const events: JobEvent[] = [];
  const session = new RestoreSession(
    deps,
    { ...facts, selection: { jobIds: [4711], rules: [] } },
    ALL,
    async (event) => void events.push(event),
  );
  const ended = session.run();
  await assert.rejects(session.serve(streamPair()[0]), /not planned yet/);
  await ended;
  assert.equal(
    events.some(({ state }) => state?.state === "ready"),
    false,
  );
  assert.equal(events.at(-1)?.result?.ok, false);
});
