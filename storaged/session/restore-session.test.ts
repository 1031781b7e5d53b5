import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { contentDigest, encodePart, PartsIdentity, ZERO_DIGEST } from "../../common/format/content.js";
import { EntryType, emptyRow, type Row, RowFlag } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { decompressInto } from "../../common/format/zstd.js";
import { createLog } from "../../common/log.js";
import { decodeJson, encodeParts } from "../../proto/data/backup.js";
import { decodeData, type RestoreEnd, RestoreKind } from "../../proto/data/restore.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { SelectionRule } from "../catalog/listing-types.js";
import { directoryRow, type FakeFiled, fileRow, streamPair } from "./fake-filed.js";
import { RestoreSession } from "./restore-session.js";
import { TestStorage } from "./testing.js";

let storage: TestStorage;
before(async () => {
  storage = await new TestStorage().open();
});
after(() => storage.close());

interface Restored {
  make: Row[];
  finish: Row[];
  links: Row[];
  folders: Row[];
  /** Contents put together from the pieces. */
  files: Map<string, Buffer>;
  messages: string[];
  frames: number;
  end: RestoreEnd | undefined;
  events: JobEvent[];
}

const ALL: SelectionRule[] = [{ key: "", include: true, recursive: true }];

async function restore(jobIds: number[], rules = ALL): Promise<Restored> {
  const events: JobEvent[] = [];
  const { catalog, store, devices, directory } = storage;
  const log = createLog("test", { level: "silent" });
  const deps = { catalog, store, log, workingDirectory: directory, devices: () => devices };
  const facts = {
    jobId: 99,
    jobUuid: "u",
    job: "restore",
    ticket: "",
    client: "vm-fd",
    filedTimeoutSec: 5,
    images: false,
  };
  const session = new RestoreSession(
    deps,
    { ...facts, selection: { jobIds, rules: [] } },
    rules,
    async (event) => {
      events.push(event);
    },
  );
  const ended = session.run();
  while (!events.some(({ state, result }) => state?.state === "ready" || result))
    await new Promise(setImmediate);
  const [mine, theirs] = streamPair();
  const out: Restored = {
    make: [],
    finish: [],
    links: [],
    folders: [],
    files: new Map(),
    messages: [],
    frames: 0,
    end: undefined,
    events,
  };
  const served = session.serve(mine);
  for await (const message of theirs.incoming) take(out, message);
  await served;
  await ended;
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith("restore-")),
    [],
  );
  return out;
}

function take(out: Restored, message: Buffer): void {
  const kind = message[0]!;
  if (kind === RestoreKind.make) out.make.push(...decodeBlock(message.subarray(1)));
  else if (kind === RestoreKind.finish) out.finish.push(...decodeBlock(message.subarray(1)));
  else if (kind === RestoreKind.links) out.links.push(...decodeBlock(message.subarray(1)));
  else if (kind === RestoreKind.folders) out.folders.push(...decodeBlock(message.subarray(1)).reverse());
  else if (kind === RestoreKind.message) out.messages.push(decodeJson<{ text: string }>(message).text);
  else if (kind === RestoreKind.end) out.end = decodeJson<RestoreEnd>(message);
  else {
    const { rows, pieces, rawBytes, frame } = decodeData(message);
    const raw = Buffer.alloc(rawBytes);
    decompressInto(raw, frame);
    out.frames++;
    for (const piece of pieces) {
      const row = rows[piece.row]!;
      const file = out.files.get(row.key) ?? Buffer.alloc(row.size);
      raw.copy(file, piece.fileOffset, piece.frameOffset, piece.frameOffset + piece.length);
      out.files.set(row.key, file);
    }
  }
}

const texts = ({ files }: Restored) =>
  Object.fromEntries([...files].map(([key, bytes]) => [key, bytes.toString()]));

test("Full and Incremental together, deletions and replaced subtrees included", async () => {
  const full = await storage.backup((fake) =>
    fake.tree({ "d/a": "one", "d/b": "two", "e/x": "gone", z: "last" }, ["d", "e"]),
  );
  const inc = await storage.backup(
    async (fake) => {
      await fake.frame([{ key: "d\0b", bytes: Buffer.from("TWO") }]);
      await fake.rows([fileRow("d\0b", Buffer.from("TWO")), emptyRow("e", EntryType.deleted)]);
      await fake.end();
    },
    { level: "Incremental" },
  );
  assert.equal(inc.result.ok, true, inc.result.reason);
  const got = await restore([full.jobId, inc.jobId]);
  assert.deepEqual(texts(got), { "d\0a": "one", "d\0b": "TWO", z: "last" });
  assert.deepEqual(
    got.folders.map(({ key }) => key),
    ["d"],
  );
  assert.deepEqual(got.end, { files: 4, bytes: 10, failed: 0 });
  assert.equal(got.events.at(-1)?.result?.ok, true);
  const old = await restore([full.jobId], [{ key: "e", include: true, recursive: true }]);
  assert.deepEqual(texts(old), { "e\0x": "gone" });
});

test("rules: the last one that covers a path decides", async () => {
  const run = await storage.backup(
    (fake) => fake.tree({ "p/a": "1", "p/q/b": "2", "p/q/c": "3" }, ["p", "p\0q"]),
    { jobName: "rules" },
  );
  const got = await restore(
    [run.jobId],
    [
      { key: "p", include: true, recursive: true },
      { key: "p\0q", include: false, recursive: true },
      { key: "p\0q\0c", include: true, recursive: false },
    ],
  );
  assert.deepEqual(texts(got), { "p\0a": "1", "p\0q\0c": "3" });
});

test("hard links are led by the first member that is restored", async () => {
  const bytes = Buffer.from("linked");
  const linked = (key: string) => ({ ...fileRow(key, bytes), group: "a" });
  const run = await storage.backup(
    async (fake) => {
      await fake.frame([{ key: "a", bytes }]);
      await fake.rows([linked("a"), linked("b"), linked("c")]);
      await fake.end();
    },
    { jobName: "links" },
  );
  const some = await restore(
    [run.jobId],
    ["b", "c"].map((key) => ({ key, include: true, recursive: true })),
  );
  assert.deepEqual(texts(some), { b: "linked" });
  assert.deepEqual(
    some.links.map(({ key, group }) => [key, group]),
    [["c", "b"]],
  );
});

/** A large file of two parts around a hole. */
async function sendLarge(fake: FakeFiled): Promise<void> {
  const pieces = [Buffer.alloc(700_000, "x"), Buffer.alloc(600_000, "y")];
  const names = pieces.map((bytes) => `.basalt\0parts\0${contentDigest(bytes).toString("hex")}`);
  for (const [i, bytes] of pieces.entries()) await fake.frame([{ key: names[i]!, bytes }]);
  const parts = Buffer.alloc(108);
  encodePart(parts, 0, 700_000, contentDigest(pieces[0]!));
  encodePart(parts, 36, 1_000_000, ZERO_DIGEST);
  encodePart(parts, 72, 600_000, contentDigest(pieces[1]!));
  const hash = new PartsIdentity();
  hash.add(parts);
  const identity = hash.digest();
  await fake.stream.send(encodeParts({ sequence: 3, parts, last: { size: 2_300_000, identity } }));
  const row = {
    ...fileRow("large", Buffer.from("x")),
    size: 2_300_000,
    content: identity,
    flags: RowFlag.parts | RowFlag.sparse,
  };
  await fake.rows([row, fileRow("small", Buffer.alloc(0))]);
  await fake.end();
}

test("content in parts comes back in pieces, holes are left out", async () => {
  const run = await storage.backup(sendLarge, { jobName: "large" });
  assert.equal(run.result.ok, true, run.result.reason);
  const got = await restore([run.jobId]);
  const large = got.files.get("large")!;
  assert.equal(large[699_999], 0x78);
  assert.equal(large[700_000], 0);
  assert.equal(large[1_700_000], 0x79);
  assert.deepEqual(
    got.finish.map(({ key }) => key),
    ["large"],
  );
  assert.deepEqual(
    got.make.map(({ key }) => key),
    ["small"],
  );
});

test("one frame is sent once for all its files, and content that is shared comes from one place", async () => {
  const files = Object.fromEntries(Array.from({ length: 200 }, (_none, i) => [`f${i}`, `text ${i % 50}`]));
  const run = await storage.backup((fake) => fake.tree(files), { jobName: "many" });
  const got = await restore([run.jobId]);
  assert.equal(got.frames, 1);
  assert.equal(got.files.size, 200);
  assert.equal(got.files.get("f77")?.toString(), "text 27");
});

test("a frame that cannot be read fails its own files only", async () => {
  const run = await storage.backup(
    async (fake) => {
      await fake.frame([{ key: "bad", bytes: Buffer.from("will be hurt") }]);
      await fake.frame([{ key: "good", bytes: Buffer.from("stays") }]);
      const bad = Buffer.from("will be hurt");
      const linked = (key: string) => ({ ...fileRow(key, bad), group: "bad" });
      await fake.rows([
        linked("bad"),
        linked("bad2"),
        fileRow("good", Buffer.from("stays")),
        directoryRow("x"),
      ]);
      await fake.end();
    },
    { jobName: "hurt" },
  );
  const volume = join(storage.directory, run.result.volumes![0]!);
  const bytes = readFileSync(volume);
  // The index record of the frame, found by the digest in it.
  const at = bytes.indexOf(contentDigest(Buffer.from("will be hurt")));
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(volume, bytes);
  const got = await restore([run.jobId]);
  assert.deepEqual(texts(got), { good: "stays" });
  assert.equal(got.links.length, 0);
  assert.equal(got.end?.failed, 2);
  assert.match(got.messages[0] ?? "", /^Cannot restore \/bad: /);
  assert.match(got.messages[1] ?? "", /^Cannot restore \/bad2: /);
});
