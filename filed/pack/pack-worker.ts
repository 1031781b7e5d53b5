/** Thread of the pack pool: reads, digests, packs and compresses what the main thread asks for, one unit at a time. */
import { parentPort, workerData } from "node:worker_threads";
import { keyToPath } from "../../common/format/path.js";
import { decodeXattrs } from "../../common/format/row.js";
import type { TarMember } from "../../common/format/tar.js";
import { ByteReader } from "../../common/format/varint.js";
import { aligned } from "../image/aligned.js";
import { ImageSource } from "../image/image-source.js";
import { readImageWindow } from "../image/read-window.js";
import { parseIoNice, setIoNice, setNice } from "../sys/priority.js";
import { levelCode } from "./compression.js";
import { FrameSlots } from "./frame-slots.js";
import { Framer } from "./framer.js";
import {
  type FromWorker,
  type PackJob,
  readResult,
  SLOT_BYTES,
  type ToWorker,
  WINDOW_BYTES,
  type WorkerData,
} from "./protocol.js";
import { LargeReader } from "./read-large.js";
import { readBatch } from "./read-small.js";
import { readTask, type WorkerTask } from "./task.js";

const port = parentPort!;
const { slots, frames } = workerData as WorkerData;
let job: PackJob = { jobId: 0, windowBytes: WINDOW_BYTES, nice: 0, ioNice: "" };
// Every thread finds the same beginning: the memory is the same.
const memory = slots.map((slot) => aligned(slot, SLOT_BYTES));

interface HeldBatch {
  slot: number;
  tasks: WorkerTask[];
  results: Buffer;
}
const batches = new Map<number, HeldBatch>();
const files = new Map<number, LargeReader>();
const images = new Map<number, ImageSource>();

function post(message: FromWorker): void {
  port.postMessage(message);
}

const frameSlots = new FrameSlots(frames);
const framer = new Framer(frameSlots, (frame) => post({ kind: "frame", ...frame }));

function takeBatch(request: Extract<ToWorker, { kind: "batch" }>): void {
  const reader = new ByteReader(
    Buffer.from(request.tasks.buffer, request.tasks.byteOffset, request.tasks.length),
  );
  const tasks: WorkerTask[] = [];
  for (let i = 0; i < request.count; i++) tasks.push(readTask(reader));
  const { results, errors } = readBatch(tasks, memory[request.slot]!);
  batches.set(request.unit, { slot: request.slot, tasks, results });
  post({ kind: "batchRead", unit: request.unit, results, errors });
}

async function packBatch(unit: number, wanted: Uint8Array): Promise<void> {
  const { slot, tasks, results } = batches.get(unit)!;
  batches.delete(unit);
  const last = wanted.lastIndexOf(1);
  for (let i = 0; i <= last; i++) {
    if (wanted[i] !== 1) continue;
    const { offset, size, digest } = readResult(results, i);
    const task = tasks[i]!;
    await framer.add(
      memberOf(task, size),
      memory[slot]!.subarray(offset, offset + size),
      digest,
      levelCode(task.compression),
    );
    if (i === last) unitPacked(unit);
    await framer.settle();
  }
}

/** The slot is told free before the frame with its last bytes goes out, so that the pool hears in this order. */
function unitPacked(unit: number): void {
  framer.unitDone(unit);
  post({ kind: "packed", unit });
}

function memberOf(task: WorkerTask, size: number): TarMember {
  return {
    name: `job${job.jobId}${keyToPath(task.key)}`,
    type: "file",
    mode: task.mode,
    uid: task.uid,
    gid: task.gid,
    size,
    mtimeSec: task.mtimeSec,
    mtimeNsec: task.mtimeNsec,
    xattrs: task.xattrs === undefined ? undefined : decodeXattrs(task.xattrs),
  };
}

function readWindow(request: Extract<ToWorker, { kind: "window" }>): void {
  const { file, open } = request;
  if (open !== undefined) {
    const encoded = Buffer.from(open.task.buffer, open.task.byteOffset, open.task.length);
    files.set(file, new LargeReader(readTask(new ByteReader(encoded)), open.force, job.windowBytes));
  }
  const window = files.get(file)!.next(memory[request.slot]!);
  if (window.state !== "more") files.delete(file);
  post({ kind: "windowRead", unit: request.unit, window });
}

function planImage({ file, task }: Extract<ToWorker, { kind: "imagePlan" }>): void {
  if (task !== undefined) {
    const encoded = Buffer.from(task.buffer, task.byteOffset, task.length);
    images.set(file, new ImageSource(readTask(new ByteReader(encoded)), job.windowBytes));
  }
  const plan = images.get(file)!.plan();
  if (plan.done) images.delete(file);
  post({ kind: "imagePlanned", file, plan });
}

async function packChunks(request: Extract<ToWorker, { kind: "packChunks" }>): Promise<void> {
  const { unit, chunks, count, code } = request;
  const slot = memory[request.slot]!;
  const reader = new ByteReader(Buffer.from(chunks.buffer, chunks.byteOffset, chunks.length));
  for (let i = 0; i < count; i++) {
    const offset = reader.uint();
    const length = reader.uint();
    const digest = reader.raw(32);
    await framer.add(partMember(digest, length), slot.subarray(offset, offset + length), digest, code);
    if (i === count - 1) unitPacked(unit);
    await framer.settle();
  }
}

function partMember(digest: Buffer, size: number): TarMember {
  const name = `job${job.jobId}/.basalt/parts/${digest.toString("hex")}`;
  return { name, type: "file", mode: 0o600, uid: 0, gid: 0, size, mtimeSec: 0, mtimeNsec: 0 };
}

async function handle(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case "begin":
      return begin(message.job);
    case "batch":
      return takeBatch(message);
    case "packBatch":
      return packBatch(message.unit, message.wanted);
    case "drop":
      batches.delete(message.unit);
      return;
    case "window":
      return readWindow(message);
    case "imagePlan":
      return planImage(message);
    case "imageWindow": {
      const { unit, slot, image } = message;
      return post({ kind: "windowRead", unit, window: readImageWindow(image, memory[slot]!) });
    }
    case "packChunks":
      return packChunks(message);
    case "flush":
      return framer.flush();
    case "frameTaken":
    case "exit":
      return;
  }
}

function begin(next: PackJob): void {
  job = next;
  // The plans of images that failed were never made to their end.
  images.clear();
  const { nice, ioNice } = job;
  // A wish, not a condition: an ordinary user may not always lower what was asked for.
  try {
    if (nice !== 0) setNice(nice);
    const io = parseIoNice(ioNice);
    if (io !== undefined) setIoNice(io);
  } catch (error) {
    post({ kind: "remark", text: `priority not set: ${(error as Error).message}` });
  }
}

// Units run one after the other in the order of arrival; only returned slots are noticed at once.
let leaving = false;
let queue: Promise<void> = Promise.resolve();
port.on("message", (message: ToWorker) => {
  if (message.kind === "frameTaken") {
    frameSlots.giveBack(message.slot);
    return;
  }
  if (message.kind === "exit") {
    leaving = true;
    for (const reader of files.values()) reader.close();
    port.close();
    return;
  }
  queue = queue.then(() => (leaving ? undefined : handle(message)));
});
