/**
 * Typed calls between the main thread and a worker: requests are answered in the order in which they were sent,
 * one at a time. Arguments and results are structured clones (a Buffer arrives as Uint8Array).
 */

import { type MessagePort, Worker } from "node:worker_threads";
import { BackupError, codeOf, describeError } from "../../common/errors.js";

// biome-ignore lint/suspicious/noExplicitAny: the shape of a method table, not a value
export type Methods = { [name: string]: (...args: any[]) => unknown };

/** The same methods seen from the other thread. */
export type Remote<M> = {
  [K in keyof M]: M[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Arriving<R>> : never;
};
type Arriving<R> = Awaited<R> extends Moving<infer T> ? T : Awaited<R>;

/**
 * A method's result of which `parts` are not copied but move with their memory: the thread that made them has nothing to
 * collect. Short ones, which may lie in Node's pool, are copied as ever; all others lie in memory of their own.
 */
export class Moving<T> {
  readonly result: T;
  readonly memory: readonly ArrayBuffer[];

  constructor(result: T, parts: readonly Uint8Array[]) {
    this.result = result;
    this.memory = parts
      .filter(({ length }) => length > Buffer.poolSize)
      .map(({ buffer }) => buffer as ArrayBuffer);
  }
}

interface Call {
  id: number;
  method: string;
  args: unknown[];
}
interface Answer {
  id: number;
  result?: unknown;
  error?: { code: string; message: string; defect: boolean };
}

/** Worker side: answers calls on `port` until it is closed. */
export function serveMethods(port: MessagePort, methods: Methods): void {
  port.on("message", (call: Call) => {
    const answer: Answer = { id: call.id };
    let memory: readonly ArrayBuffer[] = [];
    try {
      const method = methods[call.method];
      if (method === undefined) throw new Error(`no method ${call.method}`);
      answer.result = method(...call.args);
      if (answer.result instanceof Moving) ({ result: answer.result, memory } = answer.result);
    } catch (error) {
      const expected = error instanceof BackupError || isSystemError(error);
      const text = expected ? describeError(error) : ((error as Error).stack ?? String(error));
      answer.error = { code: codeOf(error) ?? "INTERNAL", message: text, defect: !expected };
    }
    port.postMessage(answer, memory);
  });
}

/** Serves methods that the first call makes, so that what fails in it is that call's error. */
export function serveMade<M extends Methods>(port: MessagePort, make: () => M): void {
  let methods: M | undefined;
  const get = (_none: M, name: string | symbol): M[keyof M] => {
    methods ??= make();
    return methods[name as keyof M];
  };
  serveMethods(port, new Proxy({} as M, { get }));
}

/** SQLite's and the system's own failures (disk full, I/O) are expected ones. */
function isSystemError(error: unknown): boolean {
  const code = codeOf(error);
  return (
    code !== undefined && /^(SQLITE_(FULL|IOERR|BUSY|READONLY|CANTOPEN|CORRUPT|NOTADB)|E[A-Z]+$)/.test(code)
  );
}

/** Words for SQLite's codes that an administrator can act on. */
const SQLITE_WORDS: Readonly<Record<string, string>> = {
  SQLITE_FULL: "no space left for the catalog",
};

/** Main-thread side of a worker. `close` ends it after the calls already sent. */
export class WorkerClient {
  readonly #worker: Worker;
  readonly #pending = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #next = 1;
  #dead: Error | undefined;

  /** `onDeath` hears of a worker that ended by itself; every open and later call fails. */
  constructor(url: URL, workerData: unknown, onDeath: (error: Error) => void = () => {}) {
    this.#worker = new Worker(url, { workerData });
    this.#worker.on("message", (answer: Answer) => this.#settle(answer));
    const die = (error: Error) => {
      if (this.#dead !== undefined) return;
      this.#dead = error;
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
      onDeath(error);
    };
    this.#worker.on("error", die);
    this.#worker.on("exit", (code) =>
      die(new BackupError("WORKER_ENDED", `a worker thread ended (${code})`)),
    );
  }

  call(method: string, args: unknown[]): Promise<unknown> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage({ id, method, args } satisfies Call);
    });
  }

  /** A proxy with the worker's methods; `onCall` hears of every call. */
  remote<M>(onCall: () => void = () => {}): Remote<M> {
    return new Proxy({} as Remote<M>, {
      get: (_target, name) =>
        name === "then"
          ? undefined
          : (...args: unknown[]) => {
              onCall();
              return this.call(name as string, args);
            },
    });
  }

  /** Ends the thread, whatever it is at; open calls fail. */
  async close(): Promise<void> {
    if (this.#dead !== undefined) return;
    this.#dead = new BackupError("WORKER_ENDED", "the worker thread was closed");
    for (const { reject } of this.#pending.values()) reject(this.#dead);
    this.#pending.clear();
    await this.#worker.terminate();
  }

  #settle(answer: Answer): void {
    const waiting = this.#pending.get(answer.id);
    if (waiting === undefined) return;
    this.#pending.delete(answer.id);
    if (answer.error === undefined) waiting.resolve(answer.result);
    else waiting.reject(errorOf(answer.error));
  }
}

function errorOf({ code, message, defect }: NonNullable<Answer["error"]>): Error {
  if (defect) return new Error(message);
  const words = SQLITE_WORDS[code];
  return new BackupError(code, words === undefined ? message : `${words}: ${message}`);
}

/** The Buffer over what arrived as Uint8Array, without a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A copy that shares its memory with nothing, so that posting it clones these bytes only. */
export function detached(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}
