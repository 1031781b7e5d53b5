/**
 * Thread of buildClosing. It drives: whatever it needs (a block, places, parts, room for a frame) it asks of the
 * main thread and waits for the answer.
 */
import { parentPort, workerData } from "node:worker_threads";
import { GarbledInput } from "../../common/format/varint.js";
import { buildFrames, type ClosingCounts, type ClosingOptions } from "./closing-builder.js";

/** What the thread asks for, and how it ends. */
export type ClosingRequest =
  | ClosingQuestion
  | { ask: "done"; counts: ClosingCounts }
  | { ask: "garbled"; reason: string };

/** Several may be open at a time; each is answered with a ClosingReply of its number. */
export type ClosingQuestion = { number: number } & ClosingAsk;
type ClosingAsk =
  | { ask: "block" }
  /** 32 bytes per content, and one byte each that says whether it is a parts list. */
  | { ask: "locate"; contents: Uint8Array; parts: Uint8Array }
  | { ask: "parts"; content: Uint8Array }
  | { ask: "emit"; rawBytes: number; data: Uint8Array };

export type ClosingReply = { number: number } & ClosingAnswer;
export type ClosingAnswer = { bytes: Uint8Array | undefined } | { places: readonly string[] };

const port = parentPort!;

const waiting = new Map<number, (reply: ClosingReply) => void>();
let questions = 0;
port.on("message", (reply: ClosingReply) => {
  waiting.get(reply.number)?.(reply);
  waiting.delete(reply.number);
});

function ask(request: ClosingAsk, transfer: ArrayBuffer[] = []): Promise<ClosingReply> {
  return new Promise((resolve) => {
    const number = questions++;
    waiting.set(number, resolve);
    port.postMessage({ number, ...request } satisfies ClosingQuestion, transfer);
  });
}

async function askBytes(request: ClosingAsk): Promise<Buffer | undefined> {
  const reply = await ask(request);
  const bytes = "bytes" in reply ? reply.bytes : undefined;
  return bytes === undefined ? undefined : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

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
        const request: ClosingAsk = { ask: "parts", content };
        for (let part = await askBytes(request); part !== undefined; part = await askBytes(request))
          yield part;
      },
      emit: async ({ rawBytes, data }) => {
        // A copy of its own memory, which can change hands.
        const own = new Uint8Array(data);
        await ask({ ask: "emit", rawBytes, data: own }, [own.buffer]);
      },
    });
    return { ask: "done", counts };
  } catch (error) {
    if (error instanceof GarbledInput) return { ask: "garbled", reason: error.message };
    throw error;
  }
}

port.postMessage(await run());
port.close();
