import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { newStat } from "../sys/stat.js";
import { PackPool, type PackPoolOptions } from "./pool.js";
import { endRestedThreads, restThreads, takeThreads } from "./rested-threads.js";
import { FakeStore } from "./test-store.js";

const top = mkdtempSync(join(tmpdir(), "basalt-rested-"));
after(async () => {
  await endRestedThreads();
  rmSync(top, { recursive: true });
});

/** Runs a pool over files of this content, closes it, and says which names its frames had. */
async function backUp(content: string, options: Partial<PackPoolOptions>): Promise<string[]> {
  const store = new FakeStore();
  const { signal } = new AbortController();
  const { send, claim } = store;
  const pool = new PackPool({ workers: 2, jobId: 1, selfContained: true, send, claim, signal, ...options });
  try {
    for (const name of ["a", "b", "c"]) {
      writeFileSync(join(top, name), `${content} ${name}`);
      const identity = { ...newStat(), size: content.length + 2 };
      const row = emptyRow(name, EntryType.file);
      const task = { key: name, row, blocks: 8, dir: { path: top }, name, identity };
      await pool.submit({ ...task, compression: "auto", onDone: () => undefined });
    }
    await pool.flush();
  } finally {
    await pool.close();
  }
  return store.members.sort();
}

/** Which threads wait for a job. */
function waiting(): number[] {
  const threads = takeThreads(2);
  const ids = threads.all.map(({ worker }) => worker.threadId);
  restThreads(threads);
  return ids;
}

test("threads of a job that ended well work for the next one", async () => {
  assert.deepEqual(await backUp("first", { jobId: 7 }), ["job7/a", "job7/b", "job7/c"]);
  const ids = waiting();
  assert.deepEqual(await backUp("second", { jobId: 8 }), ["job8/a", "job8/b", "job8/c"]);
  assert.deepEqual(waiting(), ids);
});

test("threads of a job that failed, was slowed down, or whose frames are still under way do not", async () => {
  const ids = waiting();
  const broken = backUp("third", { send: () => Promise.reject(new Error("line cut")) });
  await assert.rejects(broken, /line cut/);
  const others = waiting();
  assert.notDeepEqual(others, ids);
  await backUp("fourth", { nice: 1 });
  const after = waiting();
  assert.notDeepEqual(after, others);
  const store = new FakeStore();
  await backUp("fifth", { send: (message) => store.send(message) });
  assert.notDeepEqual(waiting(), after);
});

test("a restore has the memory of threads that wait", async () => {
  const ids = waiting();
  await endRestedThreads();
  await endRestedThreads();
  assert.notDeepEqual(waiting(), ids);
});
