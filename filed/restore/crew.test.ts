import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { RestoreCrew } from "./crew.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

async function withCrew(work: (crew: RestoreCrew, cut: AbortController) => Promise<void>): Promise<void> {
  const where = mkdtempSync(join(tmpdir(), "basalt-crew-"));
  const baseFd = openSync(where, "r");
  const cut = new AbortController();
  const { signal } = cut;
  const target = { baseFd, where, regexWhere: "", targetIsNew: true, allowed: undefined };
  const rules = { replace: "always", reportFiles: false } as const;
  const crew = new RestoreCrew({ ...target, ...rules, signal, workers: 1, onReport: () => undefined });
  try {
    await work(crew, cut);
  } finally {
    await crew.close(false);
    closeSync(baseFd);
    rmSync(where, { recursive: true });
  }
}

test("what was waited for is forgotten while the restore goes on", async () => {
  await withCrew(async (crew) => {
    const messages: WeakRef<object>[] = [];
    for (let i = 0; i < 20; i++) {
      const { value } = await crew.orFailure(Promise.resolve({ value: { message: Buffer.alloc(1000, i) } }));
      messages.push(new WeakRef(value));
    }
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    // The last one may still lie in the loop's variable.
    assert.deepEqual(
      messages.slice(0, -1).filter((message) => message.deref() !== undefined),
      [],
    );
  });
});

test("who waits hears of a failure, and so does who waits after it", async () => {
  await withCrew(async (crew, cut) => {
    const waiting = crew.orFailure(new Promise(() => undefined));
    cut.abort(new Error("canceled"));
    await assert.rejects(waiting, /canceled/);
    await assert.rejects(crew.orFailure(Promise.resolve(1)), /canceled/);
    await assert.rejects(crew.orFailure(Promise.reject(new Error("late"))), /canceled/);
    await assert.rejects(crew.idle(), /canceled/);
  });
});
