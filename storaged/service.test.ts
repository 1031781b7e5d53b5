import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createLog } from "../common/log.js";
import { signTicket, type Ticket } from "../common/ticket.js";
import { nowMs } from "../common/time.js";
import { issueCa, issuePeer, issueTicketKeys } from "../common/tls/issue.js";
import { encodeJson } from "../proto/data/backup.js";
import { RestoreKind } from "../proto/data/restore.js";
import type { JobEvent__Output } from "../proto/generated/basalt/v1/JobEvent.js";
import { PROTOCOL, RpcChannel, RpcServer, type RpcTls } from "../proto/rpc.js";
import { runStoraged } from "./main.js";
import { FakeFiled } from "./session/fake-filed.js";
import { POOL } from "./session/testing.js";

const directory = mkdtempSync(join(tmpdir(), "basalt-service-"));
const ticketKeys = issueTicketKeys();
const stop = new AbortController();
const tls = new Map<string, RpcTls>();
let ended: Promise<number>;
let port = 0;
let director: RpcChannel;
let filed: RpcServer;
let filedPort = 0;
let tree: (fake: FakeFiled) => Promise<void> = (fake) => fake.tree({ "etc/a": "alpha" }, ["etc"]);

async function makeCertificates(): Promise<void> {
  const ca = await issueCa("test");
  writeFileSync(join(directory, "ca.pem"), ca.certPem);
  writeFileSync(join(directory, "ticket.pub"), ticketKeys.publicPem);
  for (const [role, name] of [
    ["storaged", "sd"],
    ["director", "dir"],
    ["director", "stranger"],
    ["filed", "fd"],
  ] as const) {
    const { certPem, keyPem } = await issuePeer(ca, { role, name });
    tls.set(name, { ca: Buffer.from(ca.certPem), cert: Buffer.from(certPem), key: Buffer.from(keyPem) });
    writeFileSync(join(directory, `${name}.pem`), certPem);
    writeFileSync(join(directory, `${name}.key`), keyPem, { mode: 0o600 });
  }
}

function writeConfig(): string {
  const file = join(directory, "storaged.yaml");
  mkdirSync(join(directory, "volumes"));
  const text = `Storage:
  Name: sd
  Address: 127.0.0.1
  Port: 0
  WorkingDirectory: ${join(directory, "work")}
  TicketPublicKeyFile: ${join(directory, "ticket.pub")}
  TLS: {CaFile: ${join(directory, "ca.pem")}, CertFile: ${join(directory, "sd.pem")}, KeyFile: ${join(directory, "sd.key")}}
Director: {Name: dir}
Device: {Name: Disk, ArchiveDevice: ${join(directory, "volumes")}}
`;
  // The port that the system picks is not for configuration files.
  writeFileSync(file, text.replace("Port: 0", `Port: ${20_000 + (process.pid % 12_000)}`));
  return file;
}

const channelOf = (name: string) =>
  new RpcChannel({
    address: "127.0.0.1",
    port,
    tls: tls.get(name)!,
    expect: { role: "storaged", name: "sd" },
  });

before(async () => {
  await makeCertificates();
  const log = createLog("test", { level: "silent" });
  const configFile = writeConfig();
  await new Promise<void>((resolve, reject) => {
    const onReady = (bound: number) => {
      port = bound;
      resolve();
    };
    ended = runStoraged({ configFile, log, signal: stop.signal, onReady });
    void ended.then((code) => reject(new Error(`ended with ${code}`)));
  });
  director = channelOf("dir");
  filed = new RpcServer({ tls: tls.get("fd")!, isRevoked: () => false });
  filed.addData(
    "FiledData",
    "Backup",
    async (stream) => {
      const fake = new FakeFiled(stream, jobId, "fd");
      await fake.greet();
      await tree(fake);
    },
    () => true,
  );
  filedPort = await filed.listen("127.0.0.1", 0);
});
after(async () => {
  director.close();
  stop.abort();
  assert.equal(await ended, 0);
  await filed.close(0);
  rmSync(directory, { recursive: true });
});

let jobId = 0;

function ticketFor(facts: Partial<Ticket>): string {
  const base = {
    jobId,
    jobUuid: "",
    kind: "backup",
    director: "dir",
    client: "fd",
    storage: "sd",
    pool: POOL.name,
  } as const;
  return signTicket({ ...base, expiresMs: nowMs() + 60_000, ...facts }, ticketKeys.privatePem);
}

async function backup(jobUuid: string, ticket: string): Promise<JobEvent__Output[]> {
  const names = { jobName: "vm", client: "fd", fileSet: "All", fileSetDigest: "d" };
  const parents = await director.unary("Storaged", "ResolveParents", {
    ...names,
    level: "Full",
    pool: POOL.name,
  });
  const request = {
    ...names,
    jobId,
    jobUuid,
    job: "vm.x",
    ticket,
    pool: POOL.name,
    filedAddress: "127.0.0.1",
    filedPort,
    parents,
  };
  const events: JobEvent__Output[] = [];
  for await (const event of director.stream<JobEvent__Output>("Storaged", "StartBackup", request))
    events.push(event);
  return events;
}

test("a backup over the wire: pools, events, lists, and each ticket only once", async () => {
  const hello = await director.unary("Storaged", "Hello", {
    protocolMajor: PROTOCOL.major,
    protocolMinor: PROTOCOL.minor,
  });
  assert.equal(hello.name, "sd");
  const { pools } = await director.unary("Storaged", "SyncPools", { pools: [POOL] });
  assert.equal(pools[0].name, POOL.name);
  jobId = 1;
  const jobUuid = randomUUID();
  const ticket = ticketFor({ jobUuid });
  const events = await backup(jobUuid, ticket);
  assert.equal(events.at(-1)?.result?.ok, true, events.at(-1)?.result?.reason);
  await assert.rejects(backup(jobUuid, ticket), { code: "TICKET_USED" });
  await assert.rejects(backup(randomUUID(), ticketFor({ jobUuid })), { code: "TICKET_INVALID" });
  await assert.rejects(backup(jobUuid, "nonsense"), { code: "TICKET_INVALID" });
  const pages: { entries: { path: Buffer; type: string }[] }[] = [];
  const query = { jobIds: [1], directory: Buffer.from("/"), children: true };
  for await (const page of director.stream("Storaged", "ListEntries", query)) pages.push(page);
  assert.deepEqual(
    pages.flatMap(({ entries }) => entries.map(({ path, type }) => [path.toString(), type])),
    [["/etc", "directory"]],
  );
  const rules = [{ path: Buffer.from("/"), include: true, recursive: true }];
  const count = await director.unary("Storaged", "CountSelection", { jobIds: [1], rules });
  assert.deepEqual([count.files, count.bytes, count.total], [2, 5, 2]);
});

test("label makes a volume once and says when it is there", async () => {
  const request = { device: "Disk", volume: "Hand-1", pool: POOL.name };
  const made = await director.unary("Storaged", "Label", request);
  assert.deepEqual([made.ok, made.device, made.path], [true, "Disk", join(directory, "volumes", "Hand-1")]);
  const again = await director.unary("Storaged", "Label", request);
  assert.deepEqual([again.ok, again.exists], [false, true]);
  const bad = await director.unary("Storaged", "Label", { ...request, volume: "../x" });
  assert.match(bad.error, /not valid/);
});

test("a restore needs the right client and a ticket, and is fetched once", async () => {
  jobId = 2;
  const jobUuid = randomUUID();
  const ticket = ticketFor({ jobUuid, kind: "restore", pool: "" });
  const rules = [{ path: Buffer.from("/"), include: true, recursive: true }];
  const request = {
    jobId,
    jobUuid,
    job: "restore.x",
    ticket,
    client: "fd",
    selection: { jobIds: [1], rules },
  };
  const events: JobEvent__Output[] = [];
  const fetcher = channelOf("fd");
  const kinds: number[] = [];
  const fetch = async (text: string) => {
    const stream = fetcher.data("StoragedData", "Restore");
    await stream.send(
      encodeJson(RestoreKind.request, { protocol: PROTOCOL, client: "fd", jobUuid, ticket: text }),
    );
    for await (const message of stream.incoming) kinds.push(message[0]!);
    await stream.end();
  };
  for await (const event of director.stream<JobEvent__Output>("Storaged", "StartRestore", request)) {
    events.push(event);
    if (event.state?.state !== "ready") continue;
    await assert.rejects(fetch(ticketFor({ jobUuid })), { code: "TICKET_INVALID" });
    await fetch(ticket);
  }
  fetcher.close();
  assert.deepEqual(kinds, [RestoreKind.make, RestoreKind.data, RestoreKind.folders, RestoreKind.end]);
  assert.equal(events.at(-1)?.result?.ok, true, events.at(-1)?.result?.reason);
  assert.equal(events.at(-1)?.result?.filesExpected, 2);
});

test("only the directors of the configuration are served", async () => {
  const stranger = channelOf("stranger");
  await assert.rejects(stranger.unary("Storaged", "ListPools", {}), { code: "PERMISSION_DENIED" });
  stranger.close();
  const client = channelOf("fd");
  await assert.rejects(client.unary("Storaged", "Status", {}), { code: "PERMISSION_DENIED" });
  client.close();
});

test("cancel ends a running job as canceled; what it waits for does not matter", async () => {
  jobId = 3;
  const jobUuid = randomUUID();
  tree = async (fake) => {
    // Says nothing until storaged gives up.
    await fake.receive();
  };
  const running = backup(jobUuid, ticketFor({ jobUuid }));
  for (;;) {
    const { found } = await director.unary("Storaged", "Cancel", { jobUuid, reason: "enough" });
    if (found) break;
  }
  const events = await running;
  assert.deepEqual([events.at(-1)?.result?.canceled, events.at(-1)?.result?.reason], [true, "enough"]);
  const status = await director.unary("Storaged", "Status", {});
  assert.equal(status.running.length, 0);
  assert.equal(status.devices[0].name, "Disk");
});

test("a second daemon in the same working directory is refused", async () => {
  const lines: string[] = [];
  const log = createLog("test", { write: (line) => void lines.push(line) });
  assert.equal(await runStoraged({ configFile: join(directory, "storaged.yaml"), log }), 1);
  assert.match(lines.at(-1) ?? "", /another storaged \(process \d+\) works in /);
});

test("-t tells of a device whose directory is missing", async () => {
  const lines: string[] = [];
  const log = createLog("test", { write: (line) => void lines.push(line) });
  const configFile = join(directory, "tried.yaml");
  const text = readFileSync(join(directory, "storaged.yaml"), "utf8");
  writeFileSync(configFile, text.replace(/(ArchiveDevice: )[^}]*/, "$1/nonexistent/volumes"));
  assert.equal(await runStoraged({ configFile, log, test: true }), 0);
  assert.match(
    lines.join(""),
    /warn .*Device "Disk" cannot be used: .*\/nonexistent\/volumes.*does not start without it/,
  );
});
