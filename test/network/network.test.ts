/** The two sides of a network test, over a real connection. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { signTicket, type Ticket, TicketBook } from "../../common/ticket.js";
import { issueCa, issuePeer, issueTicketKeys } from "../../common/tls/issue.js";
import { serveNetworkTest } from "../../filed/network-test.js";
import { encodeJson } from "../../proto/data/backup.js";
import { NetworkKind } from "../../proto/data/network.js";
import { type DataStream, type PeerRole, RpcChannel, RpcServer, type RpcTls } from "../../proto/rpc.js";
import { runNetworkTest } from "../../storaged/network-test.js";

const keys = issueTicketKeys();
const signal = new AbortController().signal;
/** Bytes that filed has sent and taken in, and how its calls failed. */
const filed = { sent: 0, taken: 0, errors: [] as unknown[] };
let server: RpcServer;
let channel: RpcChannel;

/** Counts what passes. */
function counted(stream: DataStream): DataStream {
  return {
    signal: stream.signal,
    release: (message) => stream.release(message),
    end: () => stream.end(),
    destroy: (error) => stream.destroy(error),
    send(message, onSent) {
      filed.sent += message.length;
      return stream.send(message, onSent);
    },
    incoming: (async function* () {
      for await (const message of stream.incoming) {
        filed.taken += message.length;
        yield message;
      }
    })(),
  };
}

before(async () => {
  const ca = await issueCa("test CA");
  const tlsOf = async (role: PeerRole, name: string): Promise<RpcTls> => {
    const { certPem, keyPem } = await issuePeer(ca, { role, name, hosts: ["127.0.0.1"] });
    return { ca: Buffer.from(ca.certPem), cert: Buffer.from(certPem), key: Buffer.from(keyPem) };
  };
  const book = new TicketBook();
  const take = (ticket: Ticket): void => book.take(ticket, Date.now());
  const deps = { name: "vm1-fd", ticketKey: () => Buffer.from(keys.publicPem), take };
  server = new RpcServer({ tls: await tlsOf("filed", "vm1-fd"), isRevoked: () => false });
  server.addData(
    "FiledData",
    "Network",
    (stream, peer) =>
      serveNetworkTest(deps, counted(stream), peer).catch((error: unknown) => {
        filed.errors.push(error);
        throw error;
      }),
    (_method, peer) => peer.role === "storaged",
  );
  const port = await server.listen("127.0.0.1", 0);
  const tls = await tlsOf("storaged", "sd");
  channel = new RpcChannel({
    ...{ address: "127.0.0.1", port, tls },
    expect: { role: "filed", name: "vm1-fd" },
  });
});
after(async () => {
  channel.close();
  await server.close(0);
});

function ticket(changes: Partial<Ticket> = {}): string {
  const job = { jobId: 0, jobUuid: randomUUID(), kind: "network" as const, pool: "" };
  const parties = { director: "dir", client: "vm1-fd", storage: "sd" };
  return signTicket({ ...job, ...parties, expiresMs: Date.now() + 60_000, ...changes }, keys.privatePem);
}

const open = (): DataStream => channel.data("FiledData", "Network");

test("as many bytes as asked for go each way, and round trips are timed", async () => {
  for (const bytes of [1, 262_144, 262_145, 3_000_001]) {
    Object.assign(filed, { sent: 0, taken: 0 });
    const request = { ticket: ticket(), bytes, packets: 4 };
    const found = await runNetworkTest(open(), request, signal);
    // Beside the filler: five pings and one word on either side, and the start.
    assert.equal(filed.sent, bytes + 6);
    assert.equal(
      filed.taken,
      bytes + 6 + encodeJson(NetworkKind.start, { ticket: request.ticket, bytes }).length,
    );
    for (const ms of Object.values(found)) assert.ok(ms > 0);
    assert.ok(found.shortestMs <= found.packetsMs / 4 && found.packetsMs / 4 <= found.longestMs);
  }
  assert.deepEqual(filed.errors, []);
});

test("filed wants a ticket for such a test, for itself and for its caller, once", async () => {
  const used = ticket();
  await runNetworkTest(open(), { ticket: used, bytes: 1, packets: 1 }, signal);
  const wrong = [
    [used, "TICKET_USED"],
    [ticket({ kind: "backup" }), "TICKET_INVALID"],
    [ticket({ client: "vm2-fd" }), "TICKET_INVALID"],
    [ticket({ storage: "sd2" }), "TICKET_INVALID"],
    [ticket({ expiresMs: 1 }), "TICKET_EXPIRED"],
    [ticket().replace(/^./, "x"), "TICKET_INVALID"],
    ["", "TICKET_INVALID"],
  ] as const;
  for (const [text, code] of wrong)
    await assert.rejects(runNetworkTest(open(), { ticket: text, bytes: 1, packets: 1 }, signal), { code });
});

test("a garbled call ends with an error, and so does one for too much", async () => {
  const start = (fields: object): Buffer => encodeJson(NetworkKind.start, { ticket: ticket(), ...fields });
  const calls: Buffer[][] = [
    [Buffer.of(NetworkKind.ping)],
    [Buffer.alloc(0)],
    [Buffer.from([NetworkKind.start, 0x7b])],
    [start({})],
    [start({ bytes: 0 })],
    [start({ bytes: 1e300 })],
    [start({ bytes: "9" })],
    [start({ bytes: 10 }), Buffer.of(99)],
    [start({ bytes: 10 }), Buffer.of(NetworkKind.filler), Buffer.of(NetworkKind.ping)],
    [start({ bytes: 2 }), Buffer.from([NetworkKind.filler, 0, 0])],
  ];
  for (const messages of calls) {
    filed.errors.length = 0;
    const stream = open();
    for (const message of messages) await stream.send(message);
    await assert.rejects(async () => {
      for await (const _ of stream.incoming);
    });
    assert.equal((filed.errors[0] as { code: string }).code, "PROTOCOL_ERROR");
  }
  const many = { ticket: ticket(), bytes: 1, packets: 1e9 };
  await assert.rejects(runNetworkTest(open(), many, signal), { code: "REQUEST_INVALID" });
});

test("an abort ends a test that waits for the other side", async () => {
  const abort = new AbortController();
  const request = { ticket: ticket(), bytes: 1024 ** 4, packets: 1 };
  Object.assign(filed, { sent: 0 });
  const running = runNetworkTest(open(), request, abort.signal);
  const failed = assert.rejects(running);
  while (filed.sent < 1e6) await new Promise((resolve) => setTimeout(resolve, 5));
  abort.abort();
  await failed;
});
