/**
 * Thread of buildClosing. It drives: whatever it needs (a block, places, parts, room for a frame) it asks of the
 * main thread and waits for the answer; at most one frame is on its way while the next one is made.
 */
import { parentPort, workerData } from "node:worker_threads";
import { GarbledInput } from "../../common/format/varint.js";
import { buildFrames, type ClosingCounts, type ClosingOptions } from "./closing-builder.js";

/** What the thread asks for; every request but the last is answered with ClosingReply. */
export type ClosingRequest =
  | { ask: "block" }
  /** 32 bytes per content, and one byte each that says whether it is a parts list. */
  | { ask: "locate"; contents: Uint8Array; parts: Uint8Array }
  | { ask: "parts"; content: Uint8Array }
  | { ask: "emit"; rawBytes: number; data: Uint8Array }
  | { ask: "done"; counts: ClosingCounts }
  | { ask: "garbled"; reason: string };

export type ClosingReply = { bytes: Uint8Array | undefined } | { places: readonly string[] };

const port = parentPort!;

// Answers come in the order of the questions.
const waiting: ((reply: ClosingReply) => void)[] = [];
port.on("message", (reply: ClosingReply) => waiting.shift()?.(reply));

function ask(request: ClosingRequest, transfer: ArrayBuffer[] = []): Promise<ClosingReply> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    port.postMessage(request, transfer);
  });
}

async function askBytes(request: ClosingRequest): Promise<Buffer | undefined> {
  const reply = await ask(request);
  const bytes = "bytes" in reply ? reply.bytes : undefined;
  return bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

let emitting: Promise<unknown> = Promise.resolve();

async function run(): Promise<ClosingRequest> {
  try {
    const counts = await buildFrames(workerData as ClosingOptions, {
      nextBlock: () => askBytes({ ask: "block" }),
      locate: async (queries) => {
        const contents = Buffer.concat(queries.map(({ content }) => content));
        const reply = await ask({
          ask: "locate",
          contents,
          parts: Uint8Array.from(queries, (q) => (q.parts ? 1 : 0)),
        });
        return "places" in reply ? reply.places : [];
      },
      partsOf: async function* (content) {
        const request: ClosingRequest = { ask: "parts", content };
        for (let part = await askBytes(request); part !== undefined; part = await askBytes(request))
          yield part;
      },
      emit: async ({ rawBytes, data }) => {
        await emitting;
        // A copy of its own memory, which can change hands.
        const own = new Uint8Array(data);
        emitting = ask({ ask: "emit", rawBytes, data: own }, [own.buffer]);
      },
    });
    await emitting;
    return { ask: "done", counts };
  } catch (error) {
    if (error instanceof GarbledInput) return { ask: "garbled", reason: error.message };
    throw error;
  }
}

port.postMessage(await run());
port.close();
