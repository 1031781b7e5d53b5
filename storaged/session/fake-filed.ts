/** For tests: filed's end of a backup stream, and the rows and frames it sends. */

import { BackupError } from "../../common/errors.js";
import { contentDigest } from "../../common/format/content.js";
import type { FrameEntry } from "../../common/format/frame.js";
import { EntryType, emptyRow, type Row } from "../../common/format/row.js";
import { BlockWriter } from "../../common/format/row-block.js";
import { tarHeader, tarPadding } from "../../common/format/tar.js";
import { Compressor } from "../../common/format/zstd.js";
import {
  BackupKind,
  type BackupStart,
  type BackupTotals,
  decodeJson,
  encodeBlock,
  encodeFrame,
  encodeJson,
  encodeList,
  NO_TOTALS,
} from "../../proto/data/backup.js";
import { type DataStream, PROTOCOL } from "../../proto/rpc.js";

/** One end. What is released is spoilt at once, so that whoever still looks at it fails. */
export class Side implements DataStream {
  readonly #controller = new AbortController();
  readonly signal = this.#controller.signal;
  readonly #queue: (Buffer | undefined)[] = [];
  #wake: () => void = () => undefined;
  other!: Side;
  /** Messages that were released at this end. */
  released = 0;

  async send(message: Buffer, onSent?: () => void): Promise<void> {
    if (this.signal.aborted) throw this.signal.reason;
    this.other.#push(Buffer.from(message));
    onSent?.();
  }

  release(message: Buffer): void {
    this.released++;
    message.fill(0xff);
  }

  async end(): Promise<void> {
    if (!this.signal.aborted) this.other.#push(undefined);
  }

  destroy(error: Error = new BackupError("CONNECTION_LOST", "the connection was given up")): void {
    this.#controller.abort(error);
    if (!this.other.signal.aborted)
      this.other.destroy(new BackupError("CONNECTION_LOST", "the connection is closed"));
    this.#wake();
  }

  #push(message: Buffer | undefined): void {
    this.#queue.push(message);
    this.#wake();
  }

  readonly incoming: AsyncIterable<Buffer> = this.#read();

  async *#read(): AsyncGenerator<Buffer> {
    for (;;) {
      while (this.#queue.length === 0 && !this.signal.aborted) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#queue.length === 0) throw this.signal.reason;
      const message = this.#queue.shift();
      if (message === undefined) return;
      yield message;
    }
  }
}

/** Two ends of one stream. */
export function streamPair(): [Side, Side] {
  const [a, b] = [new Side(), new Side()];
  a.other = b;
  b.other = a;
  return [a, b];
}

/** A file of a test's tree. */
export function fileRow(key: string, bytes: Buffer): Row {
  const content = bytes.length === 0 ? undefined : contentDigest(bytes);
  return { ...emptyRow(key, EntryType.file), mode: 0o644, mtimeSec: 1000, size: bytes.length, content };
}

export function directoryRow(key: string): Row {
  return { ...emptyRow(key, EntryType.directory), mode: 0o755, mtimeSec: 1000 };
}

const compressor = new Compressor(1);

/** What a frame message holds: whole files as members of job `jobId`. */
export function frameOf(jobId: number, files: readonly { key: string; bytes: Buffer }[]) {
  const pieces: Buffer[] = [];
  const entries: FrameEntry[] = [];
  let at = 0;
  for (const { key, bytes } of files) {
    const facts = { type: "file", mode: 0o644, uid: 0, gid: 0, mtimeSec: 1000, mtimeNsec: 0 } as const;
    const header = tarHeader({
      ...facts,
      name: `job${jobId}/${key.replaceAll("\0", "/")}`,
      size: bytes.length,
    });
    entries.push({ digest: contentDigest(bytes), offset: at + header.length, length: bytes.length });
    const padding = Buffer.alloc(tarPadding(bytes.length));
    pieces.push(header, bytes, padding);
    at += header.length + bytes.length + padding.length;
  }
  return { rawBytes: at, entries, data: compressor.compress(Buffer.concat(pieces)) };
}

export function blockOf(rows: readonly Row[], state = false): Buffer {
  const writer = new BlockWriter({ state });
  for (const row of rows) writer.add(row);
  return writer.finish();
}

/** filed's end of a backup stream. */
export class FakeFiled {
  readonly stream: DataStream;
  readonly jobId: number;
  readonly #client: string;
  readonly #incoming: AsyncIterator<Buffer>;
  start!: BackupStart;
  done: Promise<void> = Promise.resolve();

  constructor(stream: DataStream, jobId: number, client: string) {
    this.stream = stream;
    this.jobId = jobId;
    this.#client = client;
    this.#incoming = stream.incoming[Symbol.asyncIterator]();
  }

  async greet(): Promise<void> {
    const message = await this.receive();
    this.start = decodeJson<BackupStart>(message);
    await this.stream.send(encodeJson(BackupKind.hello, { protocol: PROTOCOL, client: this.#client }));
  }

  async receive(): Promise<Buffer> {
    const { value, done } = await this.#incoming.next();
    if (done === true) throw new Error("storaged closed the stream");
    return value;
  }

  /** All blocks of a list. */
  async list(list: number): Promise<Buffer[]> {
    const blocks: Buffer[] = [];
    for (;;) {
      await this.stream.send(encodeList(BackupKind.listCredit, list, Buffer.of(1)));
      const message = await this.receive();
      if (message[0] === BackupKind.listEnd) return blocks;
      blocks.push(message.subarray(2));
    }
  }

  frame(files: readonly { key: string; bytes: Buffer }[]): Promise<void> {
    const { rawBytes, entries, data } = frameOf(this.jobId, files);
    return this.stream.send(encodeFrame(rawBytes, entries, data));
  }

  rows(rows: readonly Row[]): Promise<void> {
    return this.stream.send(encodeBlock(BackupKind.rows, blockOf(rows)));
  }

  state(rows: readonly Row[]): Promise<void> {
    const states = rows.map(({ key, state }) => ({ ...emptyRow(key, EntryType.deleted), state }));
    return this.stream.send(encodeBlock(BackupKind.state, blockOf(states, true)));
  }

  /** Ends well and waits for the commit. */
  async end(totals: Partial<BackupTotals> = {}): Promise<void> {
    await this.stream.send(encodeJson(BackupKind.end, { ok: true, totals: { ...NO_TOTALS, ...totals } }));
    for (
      let message = await this.receive();
      message[0] !== BackupKind.committed;
      message = await this.receive()
    ) {
      if (message[0] === BackupKind.abort) throw new Error("refused");
    }
  }

  /** Files whole in one frame, with rows and states, to the end. */
  async tree(files: Readonly<Record<string, string>>, directories: readonly string[] = []): Promise<void> {
    const all = Object.entries(files).map(([key, text]) => ({
      key: key.replaceAll("/", "\0"),
      bytes: Buffer.from(text),
    }));
    if (all.length > 0) await this.frame(all);
    const rows = [...all.map(({ key, bytes }) => fileRow(key, bytes)), ...directories.map(directoryRow)];
    rows.sort((a, b) => (a.key < b.key ? -1 : 1));
    await this.rows(rows);
    const state = { ctimeSec: 5, ctimeNsec: 6, inode: 7, links: 1 };
    await this.state(rows.map((row) => ({ ...row, state })));
    await this.end();
  }
}
