/**
 * Numbers of the NBD protocol, and reading from its socket. Source: the protocol document of the NBD project
 * (github.com/NetworkBlockDevice/nbd, doc/proto.md). All integers are big-endian.
 */
import type { Duplex } from "node:stream";
import { BackupError } from "../../common/errors.js";

export const MAGIC = 0x4e42444d41474943n;
export const OPTION_MAGIC = 0x49484156454f5054n;
export const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
export const REQUEST_MAGIC = 0x25609513;
export const REPLY_MAGIC = 0x67446698;

export const HandshakeFlag = { fixedNewstyle: 1, noZeroes: 2 } as const;
export const ClientFlag = { fixedNewstyle: 1, noZeroes: 2 } as const;
export const Option = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const;
export const Reply = {
  ack: 1,
  server: 2,
  info: 3,
  unsupported: 0x80000001,
  invalid: 0x80000003,
  unknown: 0x80000006,
} as const;
export const Info = { export: 0, blockSize: 3 } as const;
export const TransmissionFlag = { hasFlags: 1, readOnly: 2, sendFlush: 4, multiConnection: 256 } as const;
export const Command = { read: 0, write: 1, disconnect: 2, flush: 3 } as const;
/** Errors of requests are those of Linux. */
export const Failure = { permission: 1, io: 5, invalid: 22, tooLong: 75 } as const;

function garbled(what: string): BackupError {
  return new BackupError("NBD_PROTOCOL", `the NBD client ${what}`);
}

/** Bytes of a stream, as many as are wanted at a time. */
export class SocketReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Duplex) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Undefined at the end of the stream, if that comes before the first byte. @throws BackupError NBD_PROTOCOL */
  async take(bytes: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    let have = 0;
    while (have < bytes) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#chunks.next();
        if (done === true) {
          if (have === 0) return undefined;
          throw garbled("ended within a message");
        }
        this.#rest = value;
        continue;
      }
      const part = this.#rest.subarray(0, bytes - have);
      this.#rest = this.#rest.subarray(part.length);
      parts.push(part);
      have += part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** As `take`, where the stream may not end. */
  async need(bytes: number): Promise<Buffer> {
    return (await this.take(bytes)) ?? fail("ended within the handshake");
  }
}

export function fail(what: string): never {
  throw garbled(what);
}
