import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { FifoReader, writeFifo } from "./fifo.js";

function fifo(): { directory: string; path: string } {
  const directory = scratchDirectory("fifo");
  execFileSync("mkfifo", [join(directory, "p")]);
  return { directory, path: join(directory, "p") };
}

test("a reader waits for its writer, takes everything, and knows the end", () => {
  const { path } = fifo();
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = spawn("sh", ["-c", `sleep 0.4; (printf abc; sleep 0.3; printf def) > ${path}`]);
  const reader = new FifoReader();
  const buffer = Buffer.alloc(100);
  let text = "";
  for (let count = -1; count !== 0; count = reader.read(fd, buffer, 0, 100))
    text += buffer.toString("latin1", 0, Math.max(count, 0));
  assert.equal(text, "abcdef");
  closeSync(fd);
  writer.kill();
});

test("a reader nobody writes for gives up", () => {
  const { path } = fifo();
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const reader = new FifoReader(300);
  const read = (): void => {
    while (reader.read(fd, Buffer.alloc(10), 0, 10) < 0);
  };
  assert.throws(read, /nothing was written to the named pipe/);
  closeSync(fd);
});

test("a writer waits for its reader, fills the pipe as fast as that reads, and notices that it ends", async () => {
  const { directory, path } = fifo();
  const fd = openSync(directory, constants.O_RDONLY);
  const copy = join(directory, "copy");
  const target = { fd, name: "p", stopped: () => false };
  const reading = spawn("sh", ["-c", `sleep 0.3; cat ${path} > ${copy}`]);
  const ended = once(reading, "exit");
  const bytes = Buffer.alloc(300_000, "x");
  const rest = [bytes, bytes];
  writeFifo(target, () => rest.pop());
  await ended;
  assert.equal(readFileSync(copy).length, 600_000);
  const leaving = spawn("sh", ["-c", `head -c 10 ${path}`]);
  const gone = once(leaving, "exit");
  assert.throws(() => writeFifo(target, () => bytes), /the reader of the named pipe has ended/);
  await gone;
  assert.throws(() => writeFifo({ ...target, openMs: 100 }, () => bytes), /nobody read the named pipe/);
  assert.throws(() => writeFifo({ ...target, stopped: () => true }, () => bytes), /the job was ended/);
  closeSync(fd);
});
