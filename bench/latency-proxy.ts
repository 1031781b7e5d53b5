/**
 * A TCP proxy on loopback that holds everything back for a while, as a long line does: bandwidth is not limited, the
 * order is kept, and only so much is in the line at once.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

/** What one direction holds at most before it stops reading: more than 25 ms at 1 GB/s. */
const HELD_BYTES = 64 * 1024 * 1024;

/** A proxy that accepts connections. */
export interface LatencyProxy {
  /** Where it listens, on 127.0.0.1. */
  port: number;
  /** Bytes that one direction of a connection has held at once, at most so far. */
  readonly mostHeldBytes: number;
  /** Ends it and its connections. */
  close(): Promise<void>;
}

/** What all lines of a proxy have in common. */
interface LineTerms {
  delayMs: number;
  heldBytes: number;
  mostHeldBytes: number;
}

/** One direction of a connection: what arrives goes on after `delayMs`. */
class DelayLine {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #terms: LineTerms;
  /** An entry without bytes is the end. */
  readonly #held: { dueMs: number; bytes?: Buffer }[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #blocked = false;

  constructor(from: Socket, to: Socket, terms: LineTerms) {
    this.#from = from;
    this.#to = to;
    this.#terms = terms;
    from.on("data", (bytes: Buffer) => this.#push(bytes));
    from.on("end", () => this.#push());
    to.on("drain", () => {
      this.#blocked = false;
      this.#deliver();
    });
    to.on("close", () => clearTimeout(this.#timer));
  }

  #push(bytes?: Buffer): void {
    this.#held.push({ dueMs: performance.now() + this.#terms.delayMs, ...(bytes && { bytes }) });
    this.#heldBytes += bytes?.length ?? 0;
    this.#terms.mostHeldBytes = Math.max(this.#terms.mostHeldBytes, this.#heldBytes);
    if (this.#heldBytes > this.#terms.heldBytes) this.#from.pause();
    if (this.#held.length === 1) this.#deliver();
  }

  #deliver(): void {
    clearTimeout(this.#timer);
    let sent = 0;
    while (!this.#blocked && sent < this.#held.length) {
      const { dueMs, bytes } = this.#held[sent]!;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#deliver(), waitMs);
        break;
      }
      sent++;
      if (bytes === undefined) this.#to.end();
      else {
        this.#heldBytes -= bytes.length;
        this.#blocked = !this.#to.write(bytes);
      }
    }
    this.#held.splice(0, sent);
    if (this.#heldBytes <= this.#terms.heldBytes / 2 && this.#from.isPaused()) this.#from.resume();
  }
}

function serve(client: Socket, targetPort: number, terms: LineTerms, open: Set<Socket>): void {
  const target = connect({ port: targetPort, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  client.setNoDelay(true);
  for (const [socket, other] of [
    [client, target],
    [target, client],
  ] as const) {
    open.add(socket);
    new DelayLine(socket, other, terms);
    socket.on("error", () => other.destroy());
    socket.on("close", (hadError) => {
      open.delete(socket);
      // What is still held on its way to the other side has a right to arrive.
      if (hadError) other.destroy();
    });
  }
}

/** Listens on a free port and forwards to `targetPort` of loopback, `delayMs` later each way. */
export async function startLatencyProxy(
  targetPort: number,
  delayMs: number,
  heldBytes = HELD_BYTES,
): Promise<LatencyProxy> {
  const terms: LineTerms = { delayMs, heldBytes, mostHeldBytes: 0 };
  const open = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (client) =>
    serve(client, targetPort, terms, open),
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as { port: number };
  return {
    port,
    get mostHeldBytes() {
      return terms.mostHeldBytes;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
