import assert from "node:assert/strict";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import type { WindowReply } from "../pack/protocol.js";
import type { PackResult } from "../pack/task.js";
import type { PackThread } from "../pack/threads.js";
import { newStat, statFd } from "../sys/stat.js";
import { alignedMemory } from "./aligned.js";
import { ImageFile } from "./image-file.js";
import type { ImagePlan } from "./image-source.js";
import { ImagePlanner } from "./plan.js";
import { readImageWindow } from "./read-window.js";

const top = scratchDirectory("image-file");

function started(isDevice: boolean): {
  file: ImageFile;
  plan: ImagePlan;
  path: string;
  result: () => PackResult;
} {
  const path = join(top, `image-${isDevice}`);
  writeFileSync(path, Buffer.alloc(8192, 1));
  const fd = openSync(path, "r");
  const before = newStat();
  statFd(fd, before);
  let result: PackResult | undefined;
  const pending = {
    ...({ encoded: new Uint8Array(0), size: 8192, compression: "none", onNote: undefined } as const),
    image: { isDevice, blockSize: 4096, skipFree: false },
    isFifo: false,
    onDone: (told: PackResult) => (result = told),
    release: () => undefined,
  };
  const options = { thread: {} as PackThread, id: 1, force: false, sequence: 0, send: async () => undefined };
  const opened = { fd, direct: false, size: 8192, differs: false, before };
  const runs = [{ start: 0, end: 8192 }].values();
  const windows = [new ImagePlanner({ size: 8192, runs, windowBytes: 8192 }).next()];
  const plan: ImagePlan = { state: "ok", opened, windows, done: true, notes: [], bytesRead: 100 };
  return { file: new ImageFile(pending, options), plan, path, result: () => result! };
}

/** Reads the only window in this thread and ends the image. `told`: what is told of the window instead. */
async function readTo(file: ImageFile, told: Partial<WindowReply> = {}): Promise<void> {
  const window = file.reserve();
  const reply = readImageWindow(file.takeWindow(), alignedMemory(8192));
  file.fill(window, file.windowRead({ ...reply, ...told }));
  window.sent = true;
  assert.ok(file.isRead);
  file.finish();
  assert.ok(await file.advance());
}

test("an image's bytes, and those of its maps, count as read", async () => {
  const { file, plan, result } = started(false);
  file.planned(plan);
  await readTo(file);
  assert.deepEqual([result().kind, result().unstable, result().bytesRead], ["ok", false, 8292]);
});

test("a file that is written to while its first plan is made is told as unstable", async () => {
  const { file, plan, path, result } = started(false);
  writeFileSync(path, Buffer.alloc(8192, 2), { flag: "r+" });
  file.planned(plan);
  await readTo(file);
  assert.deepEqual([result().kind, result().unstable], ["ok", true]);
});

test("an image whose file cannot be looked at any more has failed, and nothing else", async () => {
  const { file, plan, result } = started(false);
  const gone = plan.opened!.fd;
  // Only zeros: nothing is read.
  const runs = [][Symbol.iterator]();
  const windows = [new ImagePlanner({ size: 8192, runs, windowBytes: 8192 }).next()];
  file.planned({ ...plan, windows });
  closeSync(gone);
  await readTo(file);
  assert.deepEqual([result().kind, result().error], ["failed", "bad file descriptor"]);
});

test("where a direct read failed, the next windows are read through the cache", () => {
  const { file, plan } = started(false);
  const opened = { ...plan.opened!, direct: true };
  file.planned({ ...plan, opened, windows: [...plan.windows, ...plan.windows] });
  const first = file.takeWindow();
  assert.equal(first.direct, true);
  file.windowRead({ ...readImageWindow(first, alignedMemory(8192)), direct: false });
  assert.equal(file.takeWindow().direct, false);
  file.dispose();
});

test("a device that has no more bytes has failed, and is not zeros from there on", async () => {
  const { file, plan, result } = started(true);
  file.planned(plan);
  await readTo(file, { unstable: true });
  assert.equal(result().kind, "failed");
});
