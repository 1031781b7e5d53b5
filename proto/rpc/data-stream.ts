/** A bidirectional stream of byte messages with backpressure, the same on the calling and the called side. */
import type { Readable, Writable } from "node:stream";
import { Outgoing, releaseMemory } from "./bulk-memory.js";
import { rpcError } from "./status.js";

export interface DataStream {
  /**
   * Sends one message. Resolves when the transport has room for more. `onSent` is called when the message has left
   * and the buffer may be used again; until then, and without one for ever, it must not be changed. A stream that
   * breaks calls it or does not: it says nothing of what has arrived. @throws BackupError when the stream is broken.
   */
  send(message: Buffer, onSent?: () => void): Promise<void>;
  /** Messages of the peer; reading slowly slows the peer. Throws BackupError when the stream breaks. */
  readonly incoming: AsyncIterable<Buffer>;
  /** Frees the memory of a bulk message out of `incoming` at once: nobody may look at it or a part of it any more. */
  release(message: Buffer): void;
  /** No more messages from this side; resolves when what was sent has left. */
  end(): Promise<void>;
  /** Breaks the stream at once. */
  destroy(error?: Error): void;
  /** Aborted when the stream ended or broke, with the error as reason. */
  readonly signal: AbortSignal;
}

/** Bytes handed to the transport that have not left yet before `send` makes its caller wait. */
const OUTSTANDING_BYTES = 4 * 1024 * 1024;

type Duplex = Readable & Pick<Writable, "write" | "end" | "once" | "on">;

const CLOSED = rpcError(new Error("the connection is closed"));

/**
 * `abort` breaks the underlying call. `called`: on the called side, where grpc-js keeps no message for another attempt.
 */
export function dataStream(call: Duplex, abort: (error?: Error) => void, called: boolean): DataStream {
  const controller = new AbortController();
  let outstanding = 0;
  let broken: Error | undefined;
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const fail = (error: Error): void => {
    broken ??= error;
    for (const waiter of waiting.splice(0)) waiter.reject(broken);
    if (!controller.signal.aborted) controller.abort(broken);
  };
  call.on("error", (error: Error) => fail(rpcError(error)));
  call.on("cancelled", () => fail(rpcError(new Error("the peer closed the connection"))));
  call.on("close", () => fail(CLOSED));

  function sent(bytes: number): void {
    outstanding -= bytes;
    while (outstanding < OUTSTANDING_BYTES && waiting.length > 0) waiting.shift()!.resolve();
  }

  return {
    signal: controller.signal,
    send(message, onSent) {
      if (broken !== undefined) return Promise.reject(broken);
      const { length } = message;
      outstanding += length;
      const outgoing = called ? new Outgoing(message) : undefined;
      call.write(outgoing ?? message, (error?: Error | null) => {
        if (error) return fail(rpcError(error));
        sent(length);
        onSent?.();
        outgoing?.left();
      });
      if (outstanding < OUTSTANDING_BYTES) return Promise.resolve();
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    incoming: incomingOf(call, () => broken),
    release: releaseMemory,
    end() {
      if (broken !== undefined) return Promise.resolve();
      return new Promise((resolve) => {
        controller.signal.addEventListener("abort", () => resolve(), { once: true });
        // On the called side `end` of grpc-js takes trailing metadata, not a callback.
        call.once("finish", () => resolve());
        call.end();
      });
    },
    destroy(error) {
      fail(error ?? rpcError(new Error("the connection was given up")));
      abort(error);
    },
  };
}

/** Messages of a readable call; every failure comes out as a BackupError. */
export async function* incomingOf<T>(call: Readable, broken?: () => Error | undefined): AsyncGenerator<T> {
  try {
    // The default iterator destroys a duplex when its readable half ends: the other half must stay open.
    for await (const message of call.iterator({ destroyOnReturn: false })) yield message as T;
  } catch (error) {
    throw broken?.() ?? rpcError(error);
  }
  if (broken === undefined) return;
  // A call that was broken off ends its readable half first and says so a moment later.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const error = broken();
  if (error !== undefined && error !== CLOSED) throw error;
}
