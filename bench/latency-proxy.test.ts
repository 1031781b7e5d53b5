import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { type LatencyProxy, startLatencyProxy } from "./latency-proxy.js";

async function withEcho(
  delayMs: number,
  action: (near: Socket, far: Socket, proxy: LatencyProxy) => Promise<void>,
  heldBytes?: number,
): Promise<void> {
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  const accepted = once(echo, "connection") as Promise<[Socket]>;
  const proxy = await startLatencyProxy((echo.address() as { port: number }).port, delayMs, heldBytes);
  const socket = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true });
  try {
    const [far] = await accepted;
    await action(socket, far, proxy);
  } finally {
    socket.destroy();
    await proxy.close();
    echo.close();
  }
}

async function sendAndCompare(socket: Socket, bytes: number): Promise<void> {
  const sent = randomBytes(bytes);
  const got: Buffer[] = [];
  socket.on("data", (part: Buffer) => got.push(part));
  const ended = once(socket, "end");
  socket.end(sent);
  await ended;
  assert.ok(Buffer.concat(got).equals(sent));
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
    await sendAndCompare(socket, 24 << 20);
  });
});

test("only so much is in the line at once, and the rest comes later", async () => {
  const heldBytes = 1 << 20;
  const action = async (socket: Socket, _far: Socket, proxy: LatencyProxy): Promise<void> => {
    await sendAndCompare(socket, 8 << 20);
    // It learns that it holds too much from the piece that is too much.
    assert.ok(proxy.mostHeldBytes <= heldBytes + (64 << 10), `${proxy.mostHeldBytes} bytes`);
  };
  await withEcho(50, action, heldBytes);
});

test("a connection that is cut on one side is cut on the other", async () => {
  await withEcho(1, async (near, far) => {
    const closed = once(far, "close");
    near.resetAndDestroy();
    await closed;
  });
});
