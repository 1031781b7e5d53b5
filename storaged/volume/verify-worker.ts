/** Thread of FrameVerifier: checks the frame that lies in a slot and answers with the slot's number. */
import { parentPort, workerData } from "node:worker_threads";
import { MAX_FRAME_RAW_BYTES } from "../../common/format/content.js";
import { readEntries } from "../../common/format/frame.js";
import { ByteReader, GarbledInput } from "../../common/format/varint.js";
import { checkDataFrame, unpackFrame } from "./frame-check.js";

/** What to check: the slot holds the frame and, behind it, its entries as on the wire. */
export interface VerifyTask {
  slot: number;
  frameBytes: number;
  entriesBytes: number;
  rawBytes: number;
  jobId: number;
}

/** `refused` says what is wrong with the frame; absent when it is good. */
export interface VerifyAnswer {
  slot: number;
  refused?: string;
}

const port = parentPort!;
const slots = (workerData as { slots: SharedArrayBuffer[] }).slots;
const scratch = Buffer.allocUnsafeSlow(MAX_FRAME_RAW_BYTES);

function check(task: VerifyTask): void {
  const slot = slots[task.slot]!;
  const frame = Buffer.from(slot, 0, task.frameBytes);
  const entries = new ByteReader(Buffer.from(slot, task.frameBytes, task.entriesBytes));
  const raw = unpackFrame(scratch, frame, task.rawBytes);
  checkDataFrame(raw, readEntries(entries, task.rawBytes), task.jobId);
}

port.on("message", (task: VerifyTask) => {
  const answer: VerifyAnswer = { slot: task.slot };
  try {
    check(task);
  } catch (error) {
    if (!(error instanceof GarbledInput)) throw error;
    answer.refused = error.message;
  }
  port.postMessage(answer);
});
