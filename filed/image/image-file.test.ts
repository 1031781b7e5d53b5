import assert from "node:assert/strict";
import { openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import type { WindowReply } from "../pack/protocol.js";
import type { PackResult } from "../pack/task.js";
import type { PackThread } from "../pack/threads.js";
import { newStat, statFd } from "../sys/stat.js";
import { ImageFile } from "./image-file.js";
import type { ImagePlan } from "./image-source.js";

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
  const plan: ImagePlan = { state: "ok", opened, windows: [new Uint8Array(0)], done: true, notes: [] };
  return { file: new ImageFile(pending, options), plan, path, result: () => result! };
}

async function readTo(file: ImageFile, reply: Partial<WindowReply>): Promise<void> {
  const window = file.reserve();
  file.takeWindow();
  const none = {
    state: "more",
    parts: new Uint8Array(0),
    count: 0,
    bytesRead: 0,
    size: 0,
    unstable: false,
  } as const;
  file.fill(window, file.windowRead({ ...none, ...reply }));
  window.sent = true;
  assert.ok(file.isRead);
  file.finish();
  assert.ok(await file.advance());
}

test("a file that is written to while its first plan is made is told as unstable", async () => {
  const { file, plan, path, result } = started(false);
  writeFileSync(path, Buffer.alloc(8192, 2), { flag: "r+" });
  file.planned(plan);
  await readTo(file, {});
  assert.deepEqual([result().kind, result().unstable], ["ok", true]);
});

test("a device that has no more bytes has failed, and is not zeros from there on", async () => {
  const { file, plan, result } = started(true);
  file.planned(plan);
  await readTo(file, { unstable: true });
  assert.equal(result().kind, "failed");
});
