/** Who is in between, repeats what was said, or talks nonsense. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { connect as connectTls, createServer, type TLSSocket } from "node:tls";
import { Passwords } from "../../common/bacula/origin.js";
import { issueSelfSigned } from "../../common/tls/issue.js";
import { EXPORTED_BYTES, EXPORTER_LABEL, passwordKeySync, proofOf } from "../../common/tls/password.js";
import { proveToDirector } from "../../console/password.js";
import { CALLED_HELLO, MessagePipe, PREFACE, PROOF } from "../../proto/enrol/wire.js";
import { openFrontDoor } from "../../proto/rpc/front-door.js";
import { RpcServer } from "../../proto/rpc.js";
import { type Daemon, startDaemon, startDirector } from "./parties.js";

const root = mkdtempSync(path.join(tmpdir(), "basalt-attacks-"));
const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
  rmSync(root, { recursive: true });
});

let counter = 0;
const fresh = (): string => path.join(root, String(counter++));

async function parties(): Promise<{ daemon: Daemon; director: Awaited<ReturnType<typeof startDirector>> }> {
  const daemon = await startDaemon(fresh(), { password: "secret" });
  const director = await startDirector(fresh(), { password: "secret" });
  closers.push(
    () => daemon.close(),
    () => director.close(),
  );
  return { daemon, director };
}

/** A first contact up to the point where messages are exchanged. */
function knock(port: number, own: { cert?: string; key?: string } = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const plain = connect({ host: "127.0.0.1", port });
    plain.once("error", reject);
    plain.write(PREFACE);
    const options = { socket: plain, rejectUnauthorized: false, minVersion: "TLSv1.3", ...own } as const;
    const socket = connectTls(options, () => resolve(socket));
    socket.once("error", reject);
    closers.push(() => plain.destroy());
  });
}

const HELLO = { version: 1, role: "director", name: "test-dir", calls: "filed" } as const;

/** Says what a director says, and gives what it has said. */
async function honest(port: number): Promise<{ hello: object; proof: string; answer: unknown }> {
  const { certPem: cert, keyPem: key } = await issueSelfSigned({ role: "director", name: "test-dir" });
  const socket = await knock(port, { cert, key });
  const pipe = new MessagePipe(socket);
  const hello = { ...HELLO, nonce: randomBytes(32).toString("hex") };
  const callerHello = pipe.send(hello);
  const { message: called, bytes: calledHello } = await pipe.receive(CALLED_HELLO);
  const sharers = { role: "filed", director: "test-dir", peer: called.name };
  const channel = {
    exported: socket.exportKeyingMaterial(EXPORTED_BYTES, EXPORTER_LABEL, Buffer.alloc(0)),
    callerCertificate: socket.getX509Certificate()!.raw,
    calledCertificate: socket.getPeerX509Certificate()!.raw,
    callerHello,
    calledHello,
  };
  const proof = proofOf("caller", passwordKeySync("secret", sharers), channel).toString("base64");
  pipe.send({ proof });
  const { message: answer } = await pipe.receive(PROOF);
  return { hello, proof, answer };
}

test("what was said on one connection proves nothing on another one", async () => {
  const { daemon } = await parties();
  const said = await honest(daemon.port);
  assert.ok(said.answer);
  const pipe = new MessagePipe(await knock(daemon.port));
  pipe.send(said.hello);
  await pipe.receive(CALLED_HELLO);
  pipe.send({ proof: said.proof });
  await assert.rejects(pipe.receive(PROOF), { code: "ENROL_REFUSED", context: { code: "PASSWORD_WRONG" } });
  assert.equal(daemon.enrolment.tls(), undefined);
});

/** Passes messages on between two TLS connections of its own, and hears them all. */
async function between(port: number, heard: string[]): Promise<Server> {
  const { certPem: cert, keyPem: key } = await issueSelfSigned({ role: "filed", name: "web-fd" });
  const secure = createServer({
    cert,
    key,
    minVersion: "TLSv1.3",
    requestCert: true,
    rejectUnauthorized: false,
  });
  secure.on("secureConnection", (socket) => {
    const { certPem, keyPem } = { certPem: cert, keyPem: key };
    void knock(port, { cert: certPem, key: keyPem }).then((onward) => {
      socket.on("data", (data) => heard.push(String(data)) && onward.write(data));
      onward.on("data", (data) => socket.write(data));
      for (const each of [socket, onward]) each.on("error", () => undefined);
      onward.on("end", () => socket.end());
    });
  });
  const { listener } = await openFrontDoor(
    undefined as never,
    {
      ...{ tls: () => undefined, answer: (socket) => void secure.emit("connection", socket) },
    },
    { address: "127.0.0.1", port: 0 },
  );
  closers.push(() => listener.close());
  return listener;
}

test("somebody in between who passes everything on gets nothing", async () => {
  const { daemon, director } = await parties();
  const heard: string[] = [];
  const listener = await between(daemon.port, heard);
  const { port } = listener.address() as AddressInfo;
  await assert.rejects(director.call(port), { code: "PASSWORD_WRONG" });
  assert.ok(heard.some((each) => each.includes("proof")));
  assert.ok(!heard.join("").includes("secret"));
  assert.equal(daemon.enrolment.tls(), undefined);
});

test("one who only pretends to know the password is found out by the director", async () => {
  const { director } = await parties();
  const { certPem: cert, keyPem: key } = await issueSelfSigned({ role: "filed", name: "web-fd" });
  const secure = createServer({ cert, key, minVersion: "TLSv1.3" });
  secure.on("secureConnection", (socket) => {
    const pipe = new MessagePipe(socket);
    pipe.send({ role: "filed", name: "web-fd", nonce: randomBytes(32).toString("hex") });
    pipe.send({ proof: randomBytes(32).toString("base64") });
  });
  const door = { tls: () => undefined, answer: (socket: object) => void secure.emit("connection", socket) };
  const { listener, port } = await openFrontDoor(undefined as never, door, { address: "127.0.0.1", port: 0 });
  closers.push(() => listener.close());
  await assert.rejects(director.call(port), { code: "PASSWORD_WRONG", message: /somebody is in between$/ });
});

test("nonsense ends its own connection and nothing else", async () => {
  const { daemon, director } = await parties();
  const raw = async (...parts: Buffer[]): Promise<void> => {
    const socket = connect({ host: "127.0.0.1", port: daemon.port });
    socket.on("error", () => undefined);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    for (const part of parts) socket.write(part);
    socket.end();
    await closed;
  };
  await raw(Buffer.from("GET / HTTP/1.0\r\n\r\n"));
  await raw(PREFACE.subarray(0, 7));
  await raw(PREFACE, randomBytes(2000));
  await raw(Buffer.from([0x16, 3, 1]), randomBytes(500));
  const length = (size: number): Buffer => {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32BE(size);
    return buffer;
  };
  const bodies = ["{", "[]", '{"version":2}', JSON.stringify({ ...HELLO, nonce: "x" }), "\0\xff"];
  const messages = [
    ...bodies.map((text) => Buffer.concat([length(Buffer.byteLength(text)), Buffer.from(text)])),
  ];
  for (const message of [...messages, length(0xffffffff), length(70_000)]) {
    const socket = await knock(daemon.port);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined);
    socket.resume();
    socket.write(message);
    await closed;
  }
  assert.equal(daemon.enrolment.tls(), undefined);
  await director.call(daemon.port);
});

async function consoleDoor() {
  const director = await startDirector(fresh(), { password: "unused" });
  director.passwords = new Passwords([
    ["Director", "test-dir", "root password"],
    ["Console", "operator", "operator password"],
  ]);
  const server = new RpcServer({ frontDoor: director.door, isRevoked: () => false });
  const peers: object[] = [];
  server.add("Director", { Hello: async () => ({ role: "director" }) }, (_method, peer) => {
    peers.push(peer);
    const refusal = director.door.refusal(peer);
    if (refusal !== undefined) throw refusal;
    return true;
  });
  const port = await server.listen("127.0.0.1", 0);
  closers.push(() => server.close(100));
  const notes = fresh();
  const prove = (console: string, password: string) =>
    proveToDirector({ name: "any", address: "127.0.0.1", port } as never, { console, password }, notes);
  return { director, port, peers, prove };
}

test("consoles prove the Director's password, or that of their own resource", async () => {
  const { RpcChannel } = await import("../../proto/rpc.js");
  const { director, port, peers, prove } = await consoleDoor();
  const hello = async (by: Awaited<ReturnType<typeof prove>>) => {
    const expect = { role: "director", name: by.name } as const;
    const channel = new RpcChannel({ address: "127.0.0.1", port, tls: by.tls, expect });
    try {
      return await channel.unary("Director", "Hello", {}, { timeoutMs: 60_000 });
    } finally {
      channel.close();
    }
  };
  const administrator = await prove("", "root password");
  assert.equal(administrator.name, "test-dir");
  await hello(administrator);
  const operator = await prove("operator", "operator password");
  await hello(operator);
  assert.deepEqual(
    peers.map((peer) => [(peer as { name: string }).name, (peer as { named?: boolean }).named]),
    [
      ["*UserAgent*", undefined],
      ["operator", true],
    ],
  );
  for (const [console, password] of [
    ["", "operator password"],
    ["operator", "root password"],
    ["nobody", "root password"],
    ["", ""],
  ] as const) {
    await assert.rejects(prove(console, password), { code: "PASSWORD_WRONG" });
  }
  director.passwords = new Passwords([["Director", "test-dir", "another"]]);
  await assert.rejects(hello(administrator), { message: /password of console .* has changed/ });
  await assert.rejects(hello(operator), { message: /password of console .* has changed/ });
});
