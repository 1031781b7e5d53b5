import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { buildClosing } from "./closing.js";
import { built, closing, HELLO, IN_THREAD, small } from "./closing-testing.js";

test("places belong to their rows in whatever order blocks are answered, and several are asked for at a time", async () => {
  const placeOf = (content: Buffer): string => `12@${content.toString("hex", 0, 8)}`;
  const rows = Array.from({ length: 60 }, (_, i) =>
    small(`f${String(i).padStart(2, "0")}`, Buffer.from(`content ${i}`)),
  );
  let asked = 0;
  let open = 0;
  let most = 0;
  const locate = async (queries: readonly { content: Buffer }[]): Promise<string[]> => {
    most = Math.max(most, ++open);
    // Every other one is overtaken by the next.
    await setTimeout(asked++ % 2 === 0 ? 40 : 1);
    open--;
    return queries.map(({ content }) => placeOf(content));
  };
  const { manifest } = await built(closing(rows, { locate, ...IN_THREAD }, 10));
  const lines = manifest.split("\n").filter((line) => line.startsWith("f\t"));
  assert.deepEqual(
    lines.map((line) => line.split("\t")[11]),
    rows.map(({ content }) => placeOf(content!)),
  );
  assert.equal(asked, 6);
  assert.ok(most > 1);
});

for (const [where, change] of [
  ["in place", {}],
  ["by a thread", IN_THREAD],
] as const) {
  test(`nothing is appended any more when a failure is told (${where})`, async () => {
    const rows = Array.from({ length: 9000 }, (_, i) => small(`f${String(i).padStart(5, "0")}`, HELLO));
    let appending = false;
    let toldOf: () => void = () => undefined;
    const failed = new Promise<void>((resolve) => {
      toldOf = resolve;
    });
    const locate = async (queries: readonly unknown[]): Promise<string[]> => {
      if (!appending) return queries.map(() => "12@Full-0001");
      toldOf();
      throw new Error("no places");
    };
    const emit = async (): Promise<void> => {
      appending = true;
      await failed;
      await setTimeout(100);
      appending = false;
    };
    await assert.rejects(buildClosing(closing(rows, { locate, ...change }, 500), emit), {
      message: "no places",
    });
    assert.equal(appending, false);
  });
}
