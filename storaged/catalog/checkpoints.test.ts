import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { copyLog, type LogState } from "./checkpoint-worker.js";
import { Checkpoints } from "./checkpoints.js";
import { openForWriting } from "./schema.js";

/** Drives it with a clock of the test's own; `states` are what the copier answers, the last one for ever. */
async function driven(t: TestContext, states: readonly LogState[], rounds = 1) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let [copies, finishes] = [0, 0];
  const checkpoints = new Checkpoints({
    copier: { copy: async () => states[Math.min(copies++, states.length - 1)]! },
    finish: async () => {
      finishes++;
      return { log: 0, copied: 0 };
    },
  });
  for (let round = 0; round < rounds; round++) {
    checkpoints.noteWrite();
    checkpoints.noteWrite();
    t.mock.timers.tick(1000);
    for (let i = 0; i < 50; i++) await turn();
  }
  await checkpoints.close();
  checkpoints.noteWrite();
  t.mock.timers.tick(1000);
  return { copies, finishes };
}

test("a short log is left alone", async (t) => {
  assert.deepEqual(await driven(t, [{ log: 100, copied: 100 }]), { copies: 1, finishes: 0 });
});

test("a long log is copied until little is left, which the writer copies", async (t) => {
  const states = [
    { log: 9000, copied: 9000 },
    { log: 9700, copied: 9500 },
    { log: 9900, copied: 9900 },
  ];
  assert.deepEqual(await driven(t, states), { copies: 3, finishes: 1 });
});

test("a log that grows as fast as it is copied is not copied for ever before the writer takes the rest", async (t) => {
  const growing = Array.from({ length: 100 }, (_, round) => ({ log: round * 9000, copied: round * 9000 }));
  const { copies, finishes } = await driven(t, growing.slice(1), 2);
  assert.ok(copies > 2 && copies < 20, `${copies} copies`);
  assert.equal(finishes, 2);
});

test("a failing copier ends nothing", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let tried = 0;
  const copy = async () => {
    tried++;
    throw new Error("no space");
  };
  const checkpoints = new Checkpoints({ copier: { copy }, finish: async () => ({ log: 0, copied: 0 }) });
  for (let i = 0; i < 2; i++) {
    checkpoints.noteWrite();
    t.mock.timers.tick(1000);
    await turn();
    await turn();
  }
  await checkpoints.close();
  assert.equal(tried, 2);
});

test("the log begins anew when another connection has copied it", () => {
  const dir = mkdtempSync(join(tmpdir(), "basalt-checkpoints-"));
  try {
    const file = join(dir, "catalog.db");
    const writer = openForWriting(file, 1_000_000);
    const other = openForWriting(file, 1_000_000);
    writer.exec("CREATE TABLE filling(data BLOB)");
    const fill = writer.prepare("INSERT INTO filling VALUES (zeroblob(40000))");
    for (let i = 0; i < 20; i++) fill.run();
    const long = copyLog(other);
    assert.ok(long.log > 200 && long.copied === long.log);
    fill.run();
    const short = copyLog(writer);
    assert.ok(short.log < 50 && short.copied === short.log);
    other.close();
    writer.close();
  } finally {
    rmSync(dir, { recursive: true });
  }
});
