/** Free ports on loopback for installations that run side by side. */
import { connect, createServer, type Server } from "node:net";

const FIRST = 20_000;
const SLOTS = 312;
/** Ports of a slot: the first is the guard, the others are given out. */
const SLOT = 32;

/** Listens on a port of loopback; undefined: somebody else does. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

async function canListen(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  return server !== undefined;
}

/**
 * The first of `count` (1 to 31) ports in a row that are free now. They stay this process's until it ends, also those that
 * nothing listens on yet: it holds their slot's guard, so that the daemon of another test that runs at the same time is
 * never found in the place of one that has yet to start.
 */
export async function freePortBase(count: number): Promise<number> {
  if (count >= SLOT) throw new RangeError(`${count} ports do not fit into a slot of ${SLOT - 1}`);
  for (let attempt = 0; attempt < 200; attempt++) {
    const guard = FIRST + Math.floor(Math.random() * SLOTS) * SLOT;
    const server = await listen(guard);
    if (server === undefined) continue;
    server.unref();
    const ports = Array.from({ length: count }, (_, index) => guard + 1 + index);
    const free = await Promise.all(ports.map(canListen));
    if (free.every(Boolean)) return guard + 1;
    server.close();
  }
  throw new Error(`no ${count} free ports in a row between ${FIRST} and ${FIRST + SLOTS * SLOT}`);
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
