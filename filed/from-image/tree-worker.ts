/**
 * The one thread that touches the disk images: it mounts them, walks the tree, and unmounts them. The system calls in it may
 * wait for the main thread, which answers what is read of the disks; so nothing of this may ever happen there.
 */
import { basename, join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { mountsWithin } from "../mount/mount-table.js";
import { setReadAhead } from "./fuse-disk.js";
import { mountSelected, unmountSelected } from "./mounting.js";
import { selectedRoots } from "./selected-roots.js";
import { TreeMessages } from "./tree-messages.js";
import { type FromTree, type ToTree, TREE_CREDITS, type TreeWork } from "./tree-protocol.js";

const port = parentPort!;
const work = workerData as TreeWork;
const stop = new AbortController();
let credits = TREE_CREDITS;
let wake: () => void = () => undefined;

function post(message: FromTree, moved: ArrayBuffer[] = []): void {
  port.postMessage(message, moved);
}

port.on("message", (request: ToTree) => {
  if (request.kind === "exit") return port.close();
  if (request.kind === "credit") credits++;
  else stop.abort(new BackupError("INTERRUPTED", "the restore was ended"));
  wake();
});

async function give(message: Buffer): Promise<void> {
  while (credits === 0 && !stop.signal.aborted) await new Promise<void>((resolve) => (wake = resolve));
  stop.signal.throwIfAborted();
  credits--;
  const bytes = new Uint8Array(message);
  post({ kind: "message", bytes }, [bytes.buffer]);
}

async function run(): Promise<void> {
  const report = (line: string): void => post({ kind: "report", line });
  try {
    await mountSelected(work, { report, signal: stop.signal });
    stop.signal.throwIfAborted();
    for (const { source } of mountsWithin(join(work.mounts, work.vm)))
      setReadAhead(`/sys/block/${basename(source)}/queue/read_ahead_kb`);
    const { roots, missing } = selectedRoots(join(work.mounts, work.vm), work.paths);
    for (const text of missing) report(`Error: ${text}`);
    if (roots.length === 0)
      throw new BackupError("NOT_FOUND", "nothing of what was asked for is in the disk images");
    for (const message of new TreeMessages(roots, work.scratch).messages(missing.length)) {
      await give(message);
      // A turn of the event loop: credits and the order to stop come by it.
      await new Promise(setImmediate);
    }
  } finally {
    await unmountSelected(work, { report });
  }
}

run().then(
  () => post({ kind: "ended" }),
  (error: unknown) =>
    post({ kind: "ended", error: { code: codeOf(error) ?? "INTERNAL", text: describeError(error) } }),
);
