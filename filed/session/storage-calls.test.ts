import assert from "node:assert/strict";
import { test } from "node:test";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import {
  BackupKind,
  type BackupStart,
  encodeJson,
  encodeList,
  FREE_BLOCKS,
} from "../../proto/data/backup.js";
import type { FiledBackup__Output } from "../../proto/generated/basalt/v1/FiledBackup.js";
import { type Peer, PROTOCOL } from "../../proto/rpc.js";
import { BackupLink } from "./backup-link.js";
import { StorageCalls } from "./storage-calls.js";
import { FakeStream } from "./testing.js";

const PEER: Peer = { role: "storaged", name: "File", fingerprint: "" };
const REQUEST = { jobId: 3, storage: "File", ticket: "ticket", level: "Full" } as FiledBackup__Output;

const START: BackupStart = {
  protocol: { ...PROTOCOL },
  ...{ storage: "File", jobUuid: "uuid", jobId: 3, level: "Full", ticket: "ticket" },
  ...{ lists: [{ role: "own", jobId: 2 }], listsApart: true, ownIsParent: false, selfContained: false },
};

function block(name: string): Buffer {
  const writer = new BlockWriter({ state: true });
  writer.add(emptyRow(name, EntryType.directory));
  return encodeList(BackupKind.listBlock, 0, writer.finish());
}

/** Both calls of a job; the one with the lists comes before the other. */
async function fixture() {
  const calls = new StorageCalls(REQUEST);
  const [stream, lists] = [new FakeStream(), new FakeStream()];
  const failures: unknown[] = [];
  const served = calls.serveLists({ stream: lists, incoming: lists.incoming }, "ticket", PEER);
  const link = new BackupLink(stream, START, (error) => failures.push(error));
  calls.attach(link);
  await link.open("c-fd");
  return { calls, stream, lists, failures, served, link };
}

async function readAll({ lists: [list] }: BackupLink): Promise<string[]> {
  const keys: string[] = [];
  for (;;) {
    while (!list!.fill()) await list!.arrival();
    if (list!.row === undefined) return keys;
    keys.push(list!.row.key);
    list!.next();
  }
}

test("lists that come apart: the first blocks without credit, credits where they come from", async () => {
  const { calls, stream, lists, served, link } = await fixture();
  const names = ["a", "b", "c", "d", "e"];
  for (const name of names.slice(0, FREE_BLOCKS)) lists.put(block(name));
  lists.onSend = () => {
    lists.put(block(names[FREE_BLOCKS]!));
    lists.put(encodeList(BackupKind.listEnd, 0));
    lists.onSend = () => undefined;
  };
  assert.deepEqual(await readAll(link), names);
  assert.deepEqual(
    lists.sent.map((message) => message[0]),
    lists.sent.map(() => BackupKind.listCredit),
  );
  assert.deepEqual(
    stream.sent.map((message) => message[0]),
    [BackupKind.hello],
  );
  calls.release();
  await served;
});

test("who brings lists must be the job's storage with its ticket, once", async () => {
  const { calls } = await fixture();
  const call = () => ({ stream: new FakeStream(), incoming: new FakeStream().incoming });
  await assert.rejects(calls.serveLists(call(), "ticket", { ...PEER, name: "Other" }), {
    code: "PERMISSION_DENIED",
  });
  await assert.rejects(calls.serveLists(call(), "another", PEER), { code: "TICKET_INVALID" });
  await assert.rejects(calls.serveLists(call(), "ticket", PEER), { code: "NOT_READY" });
});

test("nonsense among lists fails the job at once", async () => {
  const { lists, failures } = await fixture();
  lists.put(encodeJson(BackupKind.committed, { ok: true }));
  while (failures.length === 0) await new Promise(setImmediate);
  assert.equal((failures[0] as { code?: string }).code, "PROTOCOL_ERROR");
});

test("a call with lists that breaks leaves it to the job's stream to say why, for a while", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const broken = await fixture();
  const told = await fixture();
  for (const { lists } of [broken, told]) lists.destroy(new Error("cut"));
  told.link.fail(new Error("why"));
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  await broken.stream.send(Buffer.alloc(1));
  t.mock.timers.tick(2000);
  await assert.rejects(broken.stream.send(Buffer.alloc(1)), /lists of parents broke/);
  // What the failed job still says to storaged has to arrive.
  await told.stream.send(Buffer.alloc(1));
  assert.deepEqual(told.failures.map(String), ["Error: why"]);
});
