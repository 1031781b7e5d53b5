/** Thread of a restore: decompresses, verifies and writes what the main thread passes on, one message at a time. */
import { parentPort, workerData } from "node:worker_threads";
import { codeOf, describeError } from "../../common/errors.js";
import { isFatal } from "./metadata.js";
import type { FromRestoreWorker, RestoreWorkerData, ToRestoreWorker } from "./protocol.js";
import { UnitRunner } from "./unit.js";

const port = parentPort!;
const data = workerData as RestoreWorkerData;
const runner = new UnitRunner(data);
const stop = new Int32Array(data.stop);
let broken = false;

function post(message: FromRestoreWorker): void {
  port.postMessage(message);
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
  const { buffer, byteOffset, length } = request.message;
  try {
    post({ kind: "done", report: runner.run(Buffer.from(buffer, byteOffset, length), request.failed) });
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
