/** Free ports on loopback for installations that run side by side. */
import { connect, createServer } from "node:net";

const FIRST = 20_000;
const RANGE = 10_000;

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** The first of `count` ports in a row that are free now. */
export async function freePortBase(count: number): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const base = FIRST + Math.floor((Math.random() * RANGE) / count) * count;
    const free = await Promise.all(Array.from({ length: count }, (_, index) => canListen(base + index)));
    if (free.every(Boolean)) return base;
  }
  throw new Error(`no ${count} free ports in a row between ${FIRST} and ${FIRST + RANGE}`);
}

/** Whether something accepts connections on a port. (Default: of loopback) */
export function portAnswers(port: number, host = "127.0.0.1"): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.setTimeout(2000, () => socket.destroy(new Error("timeout")));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
