import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { startLatencyProxy } from "./latency-proxy.js";

async function withEcho(
  delayMs: number,
  action: (socket: Socket, proxyPort: number) => Promise<void>,
): Promise<void> {
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  const proxy = await startLatencyProxy((echo.address() as { port: number }).port, delayMs);
  const socket = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true });
  try {
    await action(socket, proxy.port);
  } finally {
    socket.destroy();
    await proxy.close();
    echo.close();
  }
}

test("a round trip takes at least twice the delay", async () => {
  await withEcho(20, async (socket) => {
    for (let trip = 0; trip < 3; trip++) {
      const start = performance.now();
      const answer = new Promise<Buffer>((resolve) => socket.once("data", resolve));
      socket.write(`trip ${trip}`);
      assert.equal(String(await answer), `trip ${trip}`);
      assert.ok(performance.now() - start >= 39);
    }
  });
});

test("everything arrives once, in order, up to the end of either side", async () => {
  await withEcho(5, async (socket) => {
    const sent = randomBytes(24 << 20);
    const got: Buffer[] = [];
    socket.on("data", (bytes: Buffer) => got.push(bytes));
    const ended = new Promise((resolve) => socket.once("end", resolve));
    socket.end(sent);
    await ended;
    assert.ok(Buffer.concat(got).equals(sent));
  });
});

test("a connection that is cut on one side is cut on the other", async () => {
  await withEcho(1, async (_, port) => {
    const other = connect(port, "127.0.0.1");
    other.on("error", () => undefined);
    await new Promise((resolve) => other.once("connect", resolve));
    const closed = new Promise((resolve) => other.once("close", resolve));
    other.resetAndDestroy();
    await closed;
  });
});
