/**
 * An NBD server for one connection: fixed newstyle handshake, simple replies. Requests are answered in any
 * order, a bounded number at a time. What cannot be read is an I/O error of that request alone.
 */
import type { Duplex } from "node:stream";
import {
  ClientFlag,
  Command,
  Failure,
  fail,
  HandshakeFlag,
  Info,
  MAGIC,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  Option,
  REPLY_MAGIC,
  REQUEST_MAGIC,
  Reply,
  SocketReader,
  TransmissionFlag,
} from "./wire.js";

export interface NbdExport {
  sizeBytes: number;
  /** Bytes within the size. What it throws becomes an I/O error. */
  read(offset: number, length: number): Promise<Buffer>;
  /** Without it the export is read-only. What was written need not outlive the connection. */
  write?(offset: number, bytes: Buffer): Promise<void>;
}

/** By name; `""` is the one that clients take when they name none. */
export type NbdExports = ReadonlyMap<string, NbdExport>;

const MAX_OPTION_BYTES = 64 * 1024;
/** The protocol asks that servers take at least this much at once. */
const MAX_READ_BYTES = 32 * 1024 * 1024;
const PREFERRED_BYTES = 64 * 1024;
/** Answered at the same time; more wait in the socket. */
const MAX_REQUESTS = 16;

function flagsOf({ write }: NbdExport): number {
  const { hasFlags, readOnly, multiConnection, sendFlush } = TransmissionFlag;
  return hasFlags | (write === undefined ? readOnly | multiConnection : sendFlush);
}

/**
 * Serves until the client disconnects or the socket closes, and destroys the socket.
 * @throws BackupError NBD_PROTOCOL when the client does not speak NBD; what the socket throws
 */
export async function serveNbd(socket: Duplex, exports: NbdExports): Promise<void> {
  socket.on("error", () => undefined);
  try {
    const reader = new SocketReader(socket);
    const served = await new Handshake(socket, reader, exports).run();
    if (served !== undefined) await new Transmission(socket, reader, served).run();
  } finally {
    socket.destroy();
  }
}

class Handshake {
  readonly #socket: Duplex;
  readonly #reader: SocketReader;
  readonly #exports: NbdExports;
  #zeroes = true;

  constructor(socket: Duplex, reader: SocketReader, exports: NbdExports) {
    this.#socket = socket;
    this.#reader = reader;
    this.#exports = exports;
  }

  /** The chosen export; undefined when the client wants none. */
  async run(): Promise<NbdExport | undefined> {
    const greeting = Buffer.alloc(18);
    greeting.writeBigUInt64BE(MAGIC, 0);
    greeting.writeBigUInt64BE(OPTION_MAGIC, 8);
    greeting.writeUInt16BE(HandshakeFlag.fixedNewstyle | HandshakeFlag.noZeroes, 16);
    this.#socket.write(greeting);
    const first = await this.#reader.take(4);
    if (first === undefined) return undefined;
    const flags = first.readUInt32BE(0);
    if ((flags & ~(ClientFlag.fixedNewstyle | ClientFlag.noZeroes)) !== 0)
      fail("sets flags that are not known");
    this.#zeroes = (flags & ClientFlag.noZeroes) === 0;
    for (;;) {
      const head = await this.#reader.take(16);
      if (head === undefined) return undefined;
      if (head.readBigUInt64BE(0) !== OPTION_MAGIC) fail("sends no option where one must be");
      const length = head.readUInt32BE(12);
      if (length > MAX_OPTION_BYTES) fail("sends an option that is too long");
      const option = head.readUInt32BE(8);
      const data = length === 0 ? Buffer.alloc(0) : await this.#reader.need(length);
      if (option === Option.abort) {
        this.#reply(option, Reply.ack);
        return undefined;
      }
      const chosen = this.#answer(option, data);
      if (chosen !== undefined) return chosen;
    }
  }

  #answer(option: number, data: Buffer): NbdExport | undefined {
    switch (option) {
      case Option.exportName:
        return this.#exportName(data);
      case Option.list:
        for (const name of this.#exports.keys()) this.#reply(option, Reply.server, named(name));
        this.#reply(option, Reply.ack);
        return undefined;
      case Option.info:
        this.#describe(option, data);
        return undefined;
      case Option.go:
        return this.#describe(option, data);
      default:
        this.#reply(option, Reply.unsupported);
        return undefined;
    }
  }

  /** Has no way to say no but the end of the connection. */
  #exportName(data: Buffer): NbdExport {
    const chosen = this.#exports.get(data.toString("utf8")) ?? fail("wants an export that is not there");
    const answer = Buffer.alloc(this.#zeroes ? 134 : 10);
    answer.writeBigUInt64BE(BigInt(chosen.sizeBytes), 0);
    answer.writeUInt16BE(flagsOf(chosen), 8);
    this.#socket.write(answer);
    return chosen;
  }

  #describe(option: number, data: Buffer): NbdExport | undefined {
    const length = data.length < 4 ? undefined : data.readUInt32BE(0);
    if (length === undefined || length + 6 > data.length) {
      this.#reply(option, Reply.invalid);
      return undefined;
    }
    const chosen = this.#exports.get(data.toString("utf8", 4, 4 + length));
    if (chosen === undefined) {
      this.#reply(option, Reply.unknown);
      return undefined;
    }
    const described = Buffer.alloc(12);
    described.writeUInt16BE(Info.export, 0);
    described.writeBigUInt64BE(BigInt(chosen.sizeBytes), 2);
    described.writeUInt16BE(flagsOf(chosen), 10);
    this.#reply(option, Reply.info, described);
    const sizes = Buffer.alloc(14);
    sizes.writeUInt16BE(Info.blockSize, 0);
    sizes.writeUInt32BE(1, 2);
    sizes.writeUInt32BE(PREFERRED_BYTES, 6);
    sizes.writeUInt32BE(MAX_READ_BYTES, 10);
    this.#reply(option, Reply.info, sizes);
    this.#reply(option, Reply.ack);
    return chosen;
  }

  #reply(option: number, type: number, data: Buffer = Buffer.alloc(0)): void {
    const head = Buffer.alloc(20);
    head.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
    head.writeUInt32BE(option, 8);
    head.writeUInt32BE(type, 12);
    head.writeUInt32BE(data.length, 16);
    this.#socket.write(Buffer.concat([head, data]));
  }
}

function named(name: string): Buffer {
  const bytes = Buffer.from(name, "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length, 0);
  return Buffer.concat([length, bytes]);
}

class Transmission {
  readonly #socket: Duplex;
  readonly #reader: SocketReader;
  readonly #export: NbdExport;
  #open = 0;
  #wake: () => void = () => undefined;

  constructor(socket: Duplex, reader: SocketReader, served: NbdExport) {
    this.#socket = socket;
    this.#reader = reader;
    this.#export = served;
  }

  async run(): Promise<void> {
    for (;;) {
      const head = await this.#reader.take(28);
      if (head === undefined) return;
      if (head.readUInt32BE(0) !== REQUEST_MAGIC) fail("sends no request where one must be");
      const command = head.readUInt16BE(6);
      if (command === Command.disconnect) return;
      const cookie = head.subarray(8, 16);
      const length = head.readUInt32BE(24);
      const offset = head.readBigUInt64BE(16);
      if (command === Command.write) await this.#write(cookie, offset, length);
      else if (command === Command.read) await this.#read(cookie, offset, length);
      else this.#socket.write(replyHead(cookie, this.#isFlush(command) ? 0 : Failure.invalid));
    }
  }

  /** What it promises is that later reads see what was written, and they do. */
  #isFlush(command: number): boolean {
    return command === Command.flush && this.#export.write !== undefined;
  }

  async #read(cookie: Buffer, offset: bigint, length: number): Promise<void> {
    const wrong = this.#wrong(offset, length);
    if (wrong !== undefined) return this.#refuse(cookie, wrong);
    await this.#carryOut(cookie, () => this.#export.read(Number(offset), length));
  }

  async #write(cookie: Buffer, offset: bigint, length: number): Promise<void> {
    const { write } = this.#export;
    if (write === undefined) fail("writes to what it was told is read-only");
    if (length > MAX_READ_BYTES) fail("sends more at once than it was told may be");
    const bytes = length === 0 ? Buffer.alloc(0) : await this.#reader.need(length);
    const wrong = this.#wrong(offset, length);
    if (wrong !== undefined) return this.#refuse(cookie, wrong);
    await this.#carryOut(cookie, async () => {
      await write.call(this.#export, Number(offset), bytes);
      return Buffer.alloc(0);
    });
  }

  #wrong(offset: bigint, length: number): number | undefined {
    if (length > MAX_READ_BYTES) return Failure.tooLong;
    const isOutside = length === 0 || offset + BigInt(length) > BigInt(this.#export.sizeBytes);
    return isOutside ? Failure.invalid : undefined;
  }

  /** Resolves when the next request may be taken. */
  async #carryOut(cookie: Buffer, work: () => Promise<Buffer>): Promise<void> {
    this.#open++;
    void work()
      .then(
        (bytes) => void this.#socket.write(Buffer.concat([replyHead(cookie, 0), bytes])),
        () => this.#refuse(cookie, Failure.io),
      )
      .finally(() => {
        this.#open--;
        this.#wake();
      });
    while (this.#open >= MAX_REQUESTS) await new Promise<void>((resolve) => (this.#wake = resolve));
    // Whoever asks and does not fetch the answers is asked to fetch them first.
    if (this.#socket.writableNeedDrain) await drained(this.#socket);
  }

  #refuse(cookie: Buffer, failure: number): void {
    this.#socket.write(replyHead(cookie, failure));
  }
}

function drained(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.once("drain", done);
    socket.once("close", done);
  });
}

function replyHead(cookie: Buffer, failure: number): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32BE(REPLY_MAGIC, 0);
  head.writeUInt32BE(failure, 4);
  cookie.copy(head, 8);
  return head;
}
