import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { contentDigest, PART_BYTES, ZERO_DIGEST } from "../../common/format/content.js";
import { decodeBlock } from "../../common/format/row-block.js";
import { createLog } from "../../common/log.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { BackupKind, decodeParts, encodeClaim, encodeJson } from "../../proto/data/backup.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import { PROTOCOL } from "../../proto/rpc.js";
import { noise } from "../../test/helpers/random.js";
import { makeSparse } from "../../test/helpers/sparse.js";
import type { FiledConfig } from "../config.js";
import { NamesInbox } from "../lists/inbox.js";
import { TEST_OPTIONS } from "../match/testing.js";
import { BackupSession } from "./backup-session.js";
import type { SessionDeps } from "./deps.js";
import { FakeStream } from "./testing.js";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const BLOCK = 64 * 1024;

interface Outcome {
  result: JobResult;
  sent: Buffer[];
  /** Bytes that the process had at most while it ran, more than before. */
  grownBytes: number;
}

/** A whole Full of one image; the storage daemon knows nothing. */
async function backup(image: string): Promise<Outcome> {
  const config = {
    name: "c-fd",
    file: "filed.yaml",
    snapshots: [],
    hookDirectories: [],
    hookTimeoutSec: 60,
    workerThreads: 2,
    references: [],
  };
  const deps: SessionDeps = {
    config: () => config as unknown as FiledConfig,
    log: createLog("test", { level: "silent" }),
    inbox: new NamesInbox(scratchDirectory("lists")),
    tls: { ca: Buffer.alloc(0), cert: Buffer.alloc(0), key: Buffer.alloc(0) },
    isRevoked: () => false,
  };
  const include = {
    files: [],
    images: [image],
    root: "",
    options: [TEST_OPTIONS],
    excludeDirContaining: [],
    lists: [],
  };
  const request = {
    ...{ jobId: 3, jobUuid: "uuid", jobName: "vm", job: "vm.1", level: "Full", ticket: "ticket" },
    ...{
      storage: "File",
      fileSet: { name: "images", include: [include], exclude: [], excludeLists: [] },
      hooks: [],
    },
    ...{
      readLimit: 0,
      nice: 0,
      ioNice: "",
      sampleVerify: 0,
      waitForStorageSec: 0,
      bandwidth: 0,
      reference: null,
    },
  };
  const stream = new FakeStream();
  let result: JobResult | undefined;
  let setReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    setReady = resolve;
  });
  const before = process.memoryUsage.rss();
  let peak = before;
  stream.onSend = (message) => {
    peak = Math.max(peak, process.memoryUsage.rss());
    if (message[0] === BackupKind.claim) {
      const answer = Buffer.alloc((message.length - 5) / 32);
      stream.put(encodeClaim(BackupKind.claimAnswer, message.readUInt32LE(1), answer));
    }
    if (message[0] === BackupKind.end) stream.put(encodeJson(BackupKind.committed, { ok: true }));
  };
  const session = new BackupSession(deps, { request, director: "dir" }, async (event) => {
    if (event.state?.state === "ready") setReady();
    if (event.result) result = event.result;
  });
  const running = session.run();
  await ready;
  const incoming = stream.incoming[Symbol.asyncIterator]();
  const job = { jobUuid: "uuid", jobId: 3, level: "Full" as const, ticket: "ticket" };
  const start = {
    protocol: { ...PROTOCOL },
    storage: "sd",
    ...job,
    lists: [],
    ownIsParent: false,
    selfContained: true,
  };
  const peer = { role: "storaged", name: "File", fingerprint: "" } as const;
  await session.calls.serve({ stream, incoming, start }, peer, undefined);
  await running;
  return { result: result!, sent: stream.sent, grownBytes: peak - before };
}

test("a job of four terabytes needs what one of four gigabytes with the same data needs", async () => {
  const data = noise(20 * MIB, "data");
  const outcomes: Outcome[] = [];
  for (const size of [4 * GIB, 4096 * GIB]) {
    const path = makeSparse(join(scratchDirectory("image-session"), "disk"), size, [
      [0, data.subarray(0, 10 * MIB)],
      [size / 2 + BLOCK, data.subarray(10 * MIB)],
      [size - 4096, data.subarray(0, 4096)],
    ]);
    const outcome = await backup(path);
    outcomes.push(outcome);
    const { result, sent } = outcome;
    assert.equal(result.ok, true, result.reason);
    assert.equal(result.bytes, size);
    assert.equal(result.bytesRead, 20 * MIB + BLOCK);
    const [row] = decodeBlock(sent.find((message) => message[0] === BackupKind.rows)!.subarray(1));
    assert.equal(row!.size, size);
    const segments = sent.filter((message) => message[0] === BackupKind.parts).map(decodeParts);
    const last = segments.at(-1)!.last!;
    assert.deepEqual(last, { size, identity: row!.content });
    const parts = Buffer.concat(segments.map((segment) => segment.parts));
    const digests = new Set<string>();
    let length = 0;
    for (let at = 0; at < parts.length; at += PART_BYTES) {
      length += parts.readUInt32LE(at);
      digests.add(parts.toString("hex", at + 4, at + PART_BYTES));
    }
    assert.equal(length, size);
    const wanted = Array.from({ length: 320 }, (_, i) => data.subarray(i * BLOCK, (i + 1) * BLOCK));
    for (const block of wanted) assert.ok(digests.has(contentDigest(block).toString("hex")));
    assert.equal(digests.size, 320 + 2);
    assert.ok(digests.has(ZERO_DIGEST.toString("hex")));
  }
  const [small, large] = outcomes as [Outcome, Outcome];
  assert.ok(
    large.grownBytes < small.grownBytes + 64 * MIB,
    `${small.grownBytes}, then ${large.grownBytes} bytes`,
  );
  assert.ok(large.sent.length < small.sent.length + 20, `${large.sent.length} messages`);
});
