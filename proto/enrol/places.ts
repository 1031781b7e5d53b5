/**
 * Places for callers that have proved nothing yet: so many at the same time, of them so many of one address, and a queue.
 * Who comes from many addresses can still take them all, for as long as a conversation may last; who has one cannot.
 */
import type { Socket } from "node:net";

/** Conversations at the same time. */
const MAX_OPEN = 16;
const MAX_OPEN_OF_ONE = 4;
/** Connections that wait for their turn, nothing of them being read. */
const MAX_WAITING = 500;
const MAX_WAITING_OF_ONE = 100;

interface Waiter {
  readonly from: string;
  readonly begin: () => void;
}

export class Places {
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiter>();
  readonly #waitingOf = new Map<string, number>();
  readonly #openOf = new Map<string, number>();
  #open = 0;

  /** Connections that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Calls `begin` when it is this connection's turn, until its end; one too many is destroyed. */
  enter(socket: Socket, begin: () => void): void {
    if (socket.destroyed) return;
    const from = originOf(socket.remoteAddress);
    if (this.#waiting.size >= MAX_WAITING || (this.#waitingOf.get(from) ?? 0) >= MAX_WAITING_OF_ONE) {
      socket.destroy();
      return;
    }
    const waiter: Waiter = { from, begin };
    this.#waiting.add(waiter);
    count(this.#waitingOf, from, 1);
    socket.once("close", () => {
      if (this.#waiting.delete(waiter)) count(this.#waitingOf, from, -1);
      else this.#leave(from);
    });
    this.#next();
  }

  #leave(from: string): void {
    this.#open -= 1;
    count(this.#openOf, from, -1);
    this.#next();
  }

  #next(): void {
    for (const waiter of this.#waiting) {
      if (this.#open >= MAX_OPEN) return;
      const { from, begin } = waiter;
      if ((this.#openOf.get(from) ?? 0) >= MAX_OPEN_OF_ONE) continue;
      this.#waiting.delete(waiter);
      count(this.#waitingOf, from, -1);
      this.#open += 1;
      count(this.#openOf, from, 1);
      begin();
    }
  }
}

function count(numbers: Map<string, number>, from: string, by: number): void {
  const left = (numbers.get(from) ?? 0) + by;
  if (left > 0) numbers.set(from, left);
  else numbers.delete(from);
}

/** An address; of IPv6 the network of one link (RFC 4291, section 2.5.4), of which one machine has all addresses. */
function originOf(address = ""): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...new Array<string>(Math.max(0, zeros)).fill("0"), ...right].slice(0, 4).join(":");
}
