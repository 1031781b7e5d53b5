import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BackupError } from "../common/errors.js";
import { SERVER_WINDOW_BYTES, WIDE_SERVER_WINDOW_BYTES } from "./rpc/definitions.js";
import { checkProtocol, type DataStream, PROTOCOL, RpcChannel, RpcServer, type RpcTls } from "./rpc.js";

let dir: string;
const tls = new Map<string, RpcTls>();

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { cwd: dir, stdio: "ignore" });
}

function certificate(role: string, name: string): void {
  const base = `${role}-${name}`;
  writeFileSync(
    join(dir, `${base}.ext`),
    `subjectAltName=DNS:localhost,IP:127.0.0.1,URI:basalt:${role}/${name}\n`,
  );
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${base}.key`);
  openssl("req", "-new", "-key", `${base}.key`, "-subj", `/CN=${name}`, "-out", `${base}.csr`);
  openssl(
    ...[
      "x509",
      "-req",
      "-in",
      `${base}.csr`,
      "-CA",
      "ca.crt",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
    ],
    ...["-extfile", `${base}.ext`, "-out", `${base}.crt`],
  );
  tls.set(base, {
    ca: readFileSync(join(dir, "ca.crt")),
    cert: readFileSync(join(dir, `${base}.crt`)),
    key: readFileSync(join(dir, `${base}.key`)),
  });
}

before(() => {
  dir = mkdtempSync(join(tmpdir(), "basalt-rpc-"));
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key");
  openssl("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=test", "-days", "2", "-out", "ca.crt");
  certificate("director", "dir");
  certificate("storaged", "sd");
  certificate("filed", "fd");
});
after(() => rmSync(dir, { recursive: true }));

interface Fixture {
  server: RpcServer;
  port: number;
  revoked: Set<string>;
  channel(expect: { role: "filed" | "storaged"; name: string }): RpcChannel;
  close(): Promise<void>;
}

async function fixture(serve: (stream: DataStream) => Promise<void>): Promise<Fixture> {
  const revoked = new Set<string>();
  const server = new RpcServer({
    tls: tls.get("filed-fd")!,
    isRevoked: (fingerprint) => revoked.has(fingerprint),
    sendsMuch: ({ role }) => role === "storaged",
  });
  server.add(
    "Filed",
    {
      Hello: async (request: { name: string }, { peer }) => {
        if (request.name === "bad") throw new BackupError("NO_SUCH_THING", "no such thing");
        return { role: "filed", name: `${peer.role}/${peer.name}` };
      },
      Estimate: async (_request, _context, send) => {
        for (let i = 0; i < 3; i++) await send({ files: i });
      },
    },
    (_method, peer) => peer.role === "storaged",
  );
  server.addData("FiledData", "Backup", serve, (_method, peer) => peer.role === "storaged");
  const port = await server.listen("127.0.0.1", 0);
  const channels: RpcChannel[] = [];
  return {
    server,
    port,
    revoked,
    channel(expect) {
      const channel = new RpcChannel({ address: "127.0.0.1", port, tls: tls.get("storaged-sd")!, expect });
      channels.push(channel);
      return channel;
    },
    async close() {
      for (const channel of channels) channel.close();
      await server.close(100);
    },
  };
}

const echo = async (stream: DataStream): Promise<void> => {
  for await (const message of stream.incoming) await stream.send(message);
};

test("unary, streams and errors keep their code", async () => {
  const f = await fixture(echo);
  const channel = f.channel({ role: "filed", name: "fd" });
  assert.equal((await channel.unary("Filed", "Hello", { name: "x" })).name, "storaged/sd");
  await assert.rejects(channel.unary("Filed", "Hello", { name: "bad" }), {
    code: "NO_SUCH_THING",
    message: "no such thing",
  });
  const seen: number[] = [];
  for await (const event of channel.stream("Filed", "Estimate", {})) seen.push(event.files);
  assert.deepEqual(seen, [0, 1, 2]);
  await f.close();
});

test("a daemon with another name is not talked to", async () => {
  const f = await fixture(echo);
  const channel = f.channel({ role: "filed", name: "other" });
  await assert.rejects(
    channel.unary("Filed", "Hello", { name: "x" }, { timeoutMs: 2000 }),
    /PEER_|filed "other"/,
  );
  await f.close();
});

test("revoked certificates and wrong roles are refused", async () => {
  const f = await fixture(echo);
  const channel = f.channel({ role: "filed", name: "fd" });
  const { createHash, X509Certificate } = await import("node:crypto");
  const raw = new X509Certificate(tls.get("storaged-sd")!.cert).raw;
  f.revoked.add(createHash("sha256").update(raw).digest("hex"));
  await assert.rejects(channel.unary("Filed", "Hello", { name: "x" }), { code: "CERTIFICATE_REVOKED" });
  const director = new RpcChannel({
    address: "127.0.0.1",
    port: f.port,
    tls: tls.get("director-dir")!,
    expect: { role: "filed", name: "fd" },
  });
  await assert.rejects(director.unary("Filed", "Hello", { name: "x" }), { code: "PERMISSION_DENIED" });
  director.close();
  await f.close();
});

test("data streams carry bytes both ways and end in order", async () => {
  const f = await fixture(echo);
  const stream = f.channel({ role: "filed", name: "fd" }).data("FiledData", "Backup");
  const sender = (async () => {
    for (let i = 0; i < 20; i++) await stream.send(Buffer.alloc(1024 * 1024, i));
    await stream.end();
  })();
  let count = 0;
  for await (const message of stream.incoming) {
    assert.equal(message.length, 1024 * 1024);
    assert.equal(message[777], count++);
  }
  await sender;
  assert.equal(count, 20);
  await f.close();
});

test("a reader that stops makes the sender wait", async () => {
  let sent = 0;
  let released: () => void = () => undefined;
  const f = await fixture(async (stream) => {
    for await (const _start of stream.incoming) break;
    released();
    for (let i = 0; i < 64; i++) {
      await stream.send(Buffer.alloc(1024 * 1024));
      sent++;
    }
  });
  const started = new Promise<void>((resolve) => {
    released = resolve;
  });
  const stream = f.channel({ role: "filed", name: "fd" }).data("FiledData", "Backup");
  await stream.send(Buffer.from("go"));
  await started;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(sent < 40, `sent ${sent} MiB without a reader`);
  stream.destroy();
  await f.close();
});

test("the called side notices when the caller breaks off", async () => {
  let finished: (reason: unknown) => void = () => undefined;
  const ended = new Promise<unknown>((resolve) => {
    finished = resolve;
  });
  const f = await fixture(async (stream) => {
    try {
      for await (const message of stream.incoming) await stream.send(message);
      finished(stream.signal.aborted ? stream.signal.reason : undefined);
    } catch (error) {
      finished(error);
    }
  });
  const stream = f.channel({ role: "filed", name: "fd" }).data("FiledData", "Backup");
  await stream.send(Buffer.from("x"));
  for await (const _ of stream.incoming) break;
  stream.destroy();
  await assert.rejects(stream.send(Buffer.from("y")));
  assert.ok((await ended) instanceof BackupError);
  await f.close();
});

test("handlers' errors reach the reader of a data stream", async () => {
  const f = await fixture(async () => {
    throw new BackupError("TICKET_INVALID", "bad ticket");
  });
  const stream = f.channel({ role: "filed", name: "fd" }).data("FiledData", "Backup");
  await stream.send(Buffer.from("x"));
  await assert.rejects(
    async () => {
      for await (const _ of stream.incoming);
    },
    { code: "TICKET_INVALID" },
  );
  await f.close();
});

test("a filed may be one minor version older, nobody else", () => {
  const { major, minor } = PROTOCOL;
  checkProtocol("filed", "a", { major, minor });
  checkProtocol("filed", "a", { major, minor: minor - 1 });
  assert.throws(
    () => checkProtocol("filed", "a", { major, minor: minor - 1 }, { major, minor: minor + 1 }),
    /protocol/,
  );
  assert.throws(() => checkProtocol("filed", "a", { major, minor: minor + 1 }), {
    code: "PROTOCOL_MISMATCH",
  });
  assert.throws(() => checkProtocol("storaged", "a", { major, minor: minor - 1 }), {
    code: "PROTOCOL_MISMATCH",
  });
  assert.throws(() => checkProtocol("filed", "a", { major: major + 1, minor }), {
    code: "PROTOCOL_MISMATCH",
  });
});

for (const [caller, bytes] of [
  ["director-dir", SERVER_WINDOW_BYTES],
  ["storaged-sd", WIDE_SERVER_WINDOW_BYTES],
] as const)
  test(`a server takes more at once than HTTP/2 does by itself: of ${caller}`, {
    timeout: 60_000,
  }, async () => {
    const { port, close } = await fixture(async () => undefined);
    const { ca, cert, key } = tls.get(caller)!;
    const session = connect(`https://127.0.0.1:${port}`, { ca, cert, key });
    try {
      // The first settings are those that grpc-js sends, the next ones raise the window of a stream.
      await new Promise<void>((resolve) => {
        session.on("remoteSettings", ({ initialWindowSize }) => {
          if (initialWindowSize === bytes) resolve();
        });
      });
      // What the connection takes is told by itself.
      while ((session.state.remoteWindowSize ?? 0) < bytes) await new Promise(setImmediate);
      assert.equal(session.state.remoteWindowSize, bytes);
    } finally {
      session.destroy();
      await close();
    }
  });

test("a channel connects before its first call, and tells when that failed", {
  timeout: 60_000,
}, async () => {
  let calls = 0;
  const f = await fixture(async () => void calls++);
  const channel = f.channel({ role: "filed", name: "fd" });
  channel.dial();
  while (channel.peer === undefined) await new Promise(setImmediate);
  while (channel.state !== "connected") await new Promise(setImmediate);
  assert.equal(calls, 0);
  const wrong = f.channel({ role: "filed", name: "other" });
  wrong.dial();
  while (wrong.state !== "failed") await new Promise(setImmediate);
  await f.close();
});
