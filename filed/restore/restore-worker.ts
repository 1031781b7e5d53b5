/** Thread of a restore: decompresses, verifies and writes what the main thread passes on, one message at a time. */
import { parentPort, workerData } from "node:worker_threads";
import { codeOf, describeError } from "../../common/errors.js";
import { isFatal } from "./metadata.js";
import type { FromRestoreWorker, RestoreWorkerData, ToRestoreWorker, UnitMessage } from "./protocol.js";
import { UnitRunner } from "./unit.js";

const port = parentPort!;
const data = workerData as RestoreWorkerData;
const runner = new UnitRunner(data);
const stop = new Int32Array(data.stop);
let broken = false;

function post(message: FromRestoreWorker): void {
  port.postMessage(message);
}

function bytesOf(message: UnitMessage): Buffer {
  if ("slot" in message) return Buffer.from(data.slots[message.slot]!, 0, message.length);
  return Buffer.from(message.buffer, message.byteOffset, message.length);
}

port.on("message", (request: ToRestoreWorker) => {
  if (request.kind === "cleanup") {
    runner.cleanup();
    return post({ kind: "cleaned" });
  }
  if (request.kind === "exit") {
    runner.close();
    port.close();
    return;
  }
  if (broken || Atomics.load(stop, 0) !== 0) return;
  try {
    post({ kind: "done", report: runner.run(bytesOf(request.message), request.failed) });
  } catch (error) {
    broken = true;
    const code = isFatal(error) ? "RESTORE_NO_SPACE" : "RESTORE_FAILED";
    post({
      kind: "fatal",
      code: codeOf(error) === undefined ? "PROTOCOL_ERROR" : code,
      text: describeError(error),
    });
  }
});
