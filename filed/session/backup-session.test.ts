import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BackupError } from "../../common/errors.js";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { BlockWriter, decodeBlock } from "../../common/format/row-block.js";
import { createLog } from "../../common/log.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { setClock } from "../../common/time.js";
import {
  BackupKind,
  type BackupStart,
  decodeJson,
  encodeClaim,
  encodeJson,
  encodeList,
} from "../../proto/data/backup.js";
import type { FiledBackup__Output } from "../../proto/generated/basalt/v1/FiledBackup.js";
import type { Hook__Output } from "../../proto/generated/basalt/v1/Hook.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import { LISTS_APART_MINOR, type Peer, PROTOCOL, type ProtocolVersion } from "../../proto/rpc.js";
import type { FiledConfig } from "../config.js";
import { NamesInbox } from "../lists/inbox.js";
import { treeFileSet } from "../match/testing.js";
import { BackupSession } from "./backup-session.js";
import type { SessionDeps } from "./deps.js";
import { FakeStream } from "./testing.js";

// The trees are made in the very moment they are walked: they count as old all the same.
setClock(() => Date.now() + 60_000);

interface Fixture {
  session: BackupSession;
  stream: FakeStream;
  events: JobEvent[];
  running: Promise<void>;
  result: () => JobResult;
  states: () => string[];
  messages: () => string[];
  /** Resolves when the session waits for storaged. */
  ready: Promise<void>;
  /** What the After hook noted. */
  outcome: () => string;
}

const PEER: Peer = { role: "storaged", name: "File", fingerprint: "" };

function start(more: Partial<BackupStart> = {}): BackupStart {
  return {
    protocol: { ...PROTOCOL },
    storage: "sd",
    jobUuid: "uuid",
    jobId: 3,
    level: "Full",
    ticket: "ticket",
    lists: [],
    ownIsParent: false,
    selfContained: true,
    ...more,
  };
}

function begin(request: Partial<FiledBackup__Output> = {}): Fixture {
  const root = scratchDirectory("session");
  writeFileSync(join(root, "file"), "content");
  const hooks = scratchDirectory("session-hooks");
  const note = join(hooks, "outcome");
  writeFileSync(join(hooks, "after"), `#!/bin/sh\necho $BASALT_JOB_OUTCOME >> ${note}\n`, { mode: 0o755 });
  const after: Hook__Output = {
    command: "after",
    origin: "ClientRunAfterJob",
    before: false,
    onSuccess: true,
    onFailure: true,
    failJobOnError: false,
    timeoutSec: 0,
  };
  const config = {
    ...{ name: "c-fd", file: "filed.yaml", snapshots: [], references: [] },
    ...{ hookDirectories: [hooks], hookTimeoutSec: 60, workerThreads: 1 },
  };
  const deps: SessionDeps = {
    config: () => config as unknown as FiledConfig,
    log: createLog("test", { level: "silent" }),
    inbox: new NamesInbox(scratchDirectory("lists")),
    tls: { ca: Buffer.alloc(0), cert: Buffer.alloc(0), key: Buffer.alloc(0) },
    isRevoked: () => false,
  };
  const events: JobEvent[] = [];
  let setReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    setReady = resolve;
  });
  const job: FiledBackup__Output = {
    jobId: 3,
    jobUuid: "uuid",
    jobName: "vm",
    job: "vm.1",
    level: "Full",
    ticket: "ticket",
    storage: "File",
    fileSet: treeFileSet(root),
    hooks: [after],
    readLimit: 0,
    nice: 0,
    ioNice: "",
    sampleVerify: 0,
    waitForStorageSec: 0,
    bandwidth: 0,
    reference: null,
    ...request,
  };
  const session = new BackupSession(deps, { request: job, director: "dir" }, async (event) => {
    events.push(event);
    if (event.state?.state === "ready") setReady();
  });
  const stream = new FakeStream();
  return {
    session,
    stream,
    events,
    running: session.run(),
    ready,
    result: () => events.at(-1)!.result!,
    states: () => events.filter((event) => event.state).map((event) => event.state!.state!),
    messages: () =>
      events
        .filter((event) => event.message)
        .map((event) => `${event.message!.type}: ${event.message!.text}`),
    outcome: () => readFileSync(note, "utf8").trim(),
  };
}

async function serve(
  { session, stream, ready }: Fixture,
  what = start(),
  peer = PEER,
  own?: ProtocolVersion,
): Promise<void> {
  await ready;
  const incoming = stream.incoming[Symbol.asyncIterator]();
  await session.calls.serve({ stream, incoming, start: what }, peer, own);
}

/** Answers claims with "unknown" and commits at the end. */
function commitAtEnd({ stream }: Fixture): void {
  stream.onSend = (message) => {
    if (message[0] === BackupKind.claim) {
      stream.put(
        encodeClaim(BackupKind.claimAnswer, message.readUInt32LE(1), Buffer.alloc((message.length - 5) / 32)),
      );
    }
    if (message[0] === BackupKind.end) stream.put(encodeJson(BackupKind.committed, { ok: true }));
  };
}

test("a whole job: hello first, content before rows, end last; ok only when committed", async () => {
  const job = begin();
  commitAtEnd(job);
  await serve(job);
  await job.running;
  const kinds = job.stream.sent.map((message) => message[0]).filter((kind) => kind !== BackupKind.progress);
  const { hello, frame, rows: list, state, end } = BackupKind;
  assert.deepEqual(kinds, [hello, frame, list, state, end]);
  const rows = decodeBlock(job.stream.sent.find((message) => message[0] === BackupKind.rows)!.subarray(1));
  assert.deepEqual(
    rows.map((row) => row.key),
    ["", "file"],
  );
  assert.deepEqual(job.states(), ["hooks", "ready", "running", "committing", "committed", "hooks"]);
  const { ok, canceled, files, bytes } = job.result();
  assert.deepEqual({ ok, canceled, files, bytes }, { ok: true, canceled: false, files: 2, bytes: 7 });
  assert.equal(job.outcome(), "ok");
});

// At a byte a second it would not end within the test's time.
test("a limit that comes before the job sends counts", { timeout: 120_000 }, async () => {
  const job = begin({ bandwidth: 1 });
  commitAtEnd(job);
  await job.ready;
  assert.equal(job.session.setBandwidth(0), true);
  await serve(job);
  await job.running;
  assert.equal(job.result().ok, true);
});

test("the lists are asked for by credit, and what arrives unasked ends the job", async () => {
  const job = begin();
  const block = new BlockWriter({ state: true });
  block.add(emptyRow("", EntryType.directory));
  const bytes = block.finish();
  job.stream.onSend = (message) => {
    if (message[0] !== BackupKind.listCredit) return;
    for (let i = 0; i < 6; i++) job.stream.put(encodeList(BackupKind.listBlock, message[1]!, bytes));
  };
  const older = { ...PROTOCOL, minor: LISTS_APART_MINOR - 1 };
  await serve(job, start({ lists: [{ role: "own", jobId: 2 }] }), PEER, older);
  await job.running;
  assert.equal(job.result().ok, false);
  assert.match(job.result().reason!, /not asked for|out of path order/);
});

test("a caller that is not the announced storage is refused, and the job waits on", async () => {
  const job = begin();
  const wrong = [
    serve(job, start(), { ...PEER, name: "Other" }),
    serve(job, start(), { ...PEER, role: "filed" }),
    serve(job, start({ ticket: "another" })),
    serve(job, start({ level: "Incremental" })),
    serve(job, start({ protocol: { major: 9, minor: 0 } })),
    serve(job, start({ lists: [{ role: "own", jobId: 2 }] })),
  ];
  const codes = [
    "PERMISSION_DENIED",
    "PERMISSION_DENIED",
    "TICKET_INVALID",
    "REQUEST_INVALID",
    "PROTOCOL_MISMATCH",
    "PROTOCOL_MISMATCH",
  ];
  await Promise.all(wrong.map((call, i) => assert.rejects(call, { code: codes[i] })));
  commitAtEnd(job);
  await serve(job);
  await assert.rejects(serve(job), { code: "NOT_READY" });
  await job.running;
  assert.equal(job.result().ok, true);
});

test("a stream that breaks fails the job at once; the After hook runs", async () => {
  const job = begin();
  job.stream.onSend = (message) => {
    if (message[0] === BackupKind.rows) job.stream.destroy(new BackupError("CONNECTION_LOST", "cut"));
  };
  await serve(job);
  await job.running;
  assert.equal(job.result().ok, false);
  assert.equal(job.result().canceled, false);
  assert.match(job.result().reason!, /cut/);
  assert.equal(job.outcome(), "failed");
});

test("storaged's abort is the reason; ending or committing too early is an error", async () => {
  for (const [message, reason] of [
    [encodeJson(BackupKind.abort, { reason: "disk full" }), /disk full/],
    [encodeJson(BackupKind.committed, { ok: true }), /had not ended/],
    [Buffer.of(99), /does not know/],
    [encodeClaim(BackupKind.claimAnswer, 5, Buffer.alloc(1)), /was not asked/],
    [encodeList(BackupKind.listEnd, 7), /did not announce/],
  ] as const) {
    const job = begin();
    job.stream.onSend = (sent) => {
      if (sent[0] === BackupKind.hello) job.stream.put(message);
    };
    await serve(job);
    await job.running;
    assert.match(job.result().reason!, reason);
    assert.equal(job.outcome(), "failed");
  }
});

test("storaged is told why a job fails", async () => {
  const job = begin({ fileSet: treeFileSet("/no/such/snapshot") });
  await serve(job);
  await job.running;
  const end = decodeJson<{ ok: boolean; reason: string }>(job.stream.sent.at(-1)!);
  assert.equal(end.ok, false);
  assert.match(end.reason, /is the snapshot mounted/);
  assert.ok(
    job.messages().some((text) => text.startsWith("fatal: /no/such/snapshot")),
    job.messages().join("\n"),
  );
});

test("a cancel ends the wait for storaged, the After hook runs", async () => {
  const job = begin();
  await job.ready;
  job.session.cancel("enough");
  await job.running;
  const { ok, canceled, reason } = job.result();
  assert.deepEqual({ ok, canceled, reason }, { ok: false, canceled: true, reason: "enough" });
  assert.equal(job.outcome(), "canceled");
});

test("a cancel while storaged commits", async () => {
  const job = begin();
  job.stream.onSend = (message) => {
    if (message[0] === BackupKind.end) job.session.cancel("enough");
  };
  await serve(job);
  await job.running;
  assert.equal(job.result().canceled, true);
});

test("a FileSet that cannot be used fails before any hook, a director that went away changes nothing", async () => {
  const job = begin({ fileSet: treeFileSet("/", { regex: ["("] }) });
  await job.running;
  assert.equal(job.result().ok, false);
  assert.match(job.result().reason!, /pattern/);
  const alone = begin();
  alone.session.stop("the connection to the director was lost");
  await alone.running;
  assert.equal(alone.outcome(), "failed");
});
