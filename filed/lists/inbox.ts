/** Lists of files that the director brings before the request that names them. They wait on disk, 0600. */
import { createReadStream, mkdirSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { BackupError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import { decodeNamesHeader } from "../../proto/data/names.js";
import type { DataStream } from "../../proto/rpc.js";

/** A list that nobody asked for by then is removed. */
const KEEP_MS = 15 * 60_000;
/** Lists that wait at a time, and the bytes of one. */
const MAX_WAITING = 1000;
const MAX_LIST_BYTES = 4 * 1024 ** 3;

export class NamesInbox {
  readonly #directory: string;
  /** Lists by key and number, with the timer that removes them unless somebody holds them. */
  readonly #waiting = new Map<string, NodeJS.Timeout | undefined>();

  /** Empties the directory: lists of an earlier process belong to jobs that ended with it. */
  constructor(workingDirectory: string) {
    this.#directory = join(workingDirectory, "lists");
    rmSync(this.#directory, { recursive: true, force: true });
    mkdirSync(this.#directory, { mode: 0o700 });
  }

  get directory(): string {
    return this.#directory;
  }

  /** Takes one list in. @throws BackupError LISTS_UNUSABLE, PROTOCOL_ERROR; what writing threw */
  async receive(stream: DataStream): Promise<void> {
    const incoming = stream.incoming[Symbol.asyncIterator]();
    const name = await nameOf(incoming);
    if (this.#waiting.has(name) || this.#waiting.size >= MAX_WAITING)
      throw new BackupError("LISTS_UNUSABLE", `list ${name} is here already, or too many others are`);
    this.#waiting.set(name, undefined);
    try {
      await write(join(this.#directory, name), incoming);
    } catch (error) {
      this.#drop(name);
      throw error;
    }
    const timer = setTimeout(() => this.#drop(name), KEEP_MS);
    this.#waiting.set(name, timer.unref());
    await stream.send(Buffer.alloc(0));
  }

  /** The bytes of a list. @throws BackupError LISTS_UNUSABLE when the director never sent it */
  read(key: string, number: number): Readable {
    const name = `${key}.${number}`;
    if (!this.#waiting.has(name))
      throw new BackupError("LISTS_UNUSABLE", "a list of files of this job was not sent, or came too early");
    return createReadStream(join(this.#directory, name));
  }

  /** The lists of a job that is under way stay until `remove`. */
  hold(key: string): void {
    for (const [name, timer] of this.#waiting) {
      if (!name.startsWith(`${key}.`)) continue;
      clearTimeout(timer);
      this.#waiting.set(name, undefined);
    }
  }

  /** Removes the lists of a job. */
  remove(key: string): void {
    for (const name of [...this.#waiting.keys()]) if (name.startsWith(`${key}.`)) this.#drop(name);
  }

  #drop(name: string): void {
    clearTimeout(this.#waiting.get(name));
    this.#waiting.delete(name);
    rmSync(join(this.#directory, name), { force: true });
  }
}

async function nameOf(incoming: AsyncIterator<Buffer>): Promise<string> {
  const first = await incoming.next();
  try {
    const { key, number } = decodeNamesHeader(first.done === true ? Buffer.alloc(0) : first.value);
    return `${key}.${number}`;
  } catch (cause) {
    if (!(cause instanceof GarbledInput)) throw cause;
    throw new BackupError("PROTOCOL_ERROR", `the director's call is garbled: ${cause.message}`);
  }
}

async function write(path: string, incoming: AsyncIterator<Buffer>): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    let bytes = 0;
    for (;;) {
      const next = await incoming.next();
      if (next.done === true) return;
      bytes += next.value.length;
      if (bytes > MAX_LIST_BYTES)
        throw new BackupError("LISTS_UNUSABLE", "a list of files is larger than 4 GiB");
      await file.writeFile(next.value);
    }
  } finally {
    await file.close();
  }
}
