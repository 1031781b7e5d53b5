import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedWork } from "./shared-work.js";

test("one who gives up leaves the others their work; the last one ends it", async () => {
  const shared = new SharedWork<string>();
  const given: { signal: AbortSignal; finish: (text: string) => void }[] = [];
  const begin = (signal: AbortSignal): Promise<string> =>
    new Promise((resolve, reject) => {
      given.push({ signal, finish: resolve });
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  const first = new AbortController();
  const left = shared.join("a", begin, first.signal);
  const stays = shared.join("a", begin);
  first.abort(new Error("cancelled"));
  await assert.rejects(left, /cancelled/);
  assert.equal(given.length, 1);
  given[0]!.finish("done");
  assert.equal(await stays, "done");
  const last = new AbortController();
  const alone = shared.join("a", begin, last.signal);
  last.abort(new Error("nobody"));
  await assert.rejects(alone, /nobody/);
  assert.ok(given[1]!.signal.aborted);
  const again = shared.join("a", begin);
  given[2]!.finish("anew");
  assert.equal(await again, "anew");
  await assert.rejects(shared.join("a", begin, AbortSignal.abort(new Error("before"))), /before/);
});
