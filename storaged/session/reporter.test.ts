import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setClock } from "../../common/time.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import { Reporter } from "./reporter.js";

afterEach(() => setClock());

/** A reporter whose director takes everything at once, at a time that the test says. */
function start(): { reporter: Reporter; told: JobEvent[]; at: (ms: number) => void } {
  let now = 0;
  setClock(() => now);
  const told: JobEvent[] = [];
  const reporter = new Reporter(async (event) => void told.push(event));
  const at = (ms: number): void => {
    now = ms;
  };
  return { reporter, told, at };
}

/** Lets what was begun come to its end. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("progress is told twice a second at most, and nothing of it is forgotten", async () => {
  const { reporter, told, at } = start();
  const tell = async (ms: number, files: number): Promise<void> => {
    at(ms);
    await reporter.setProgress({ files });
    await settle();
  };
  at(1_000_000);
  await reporter.setProgress({ files: 1, volume: "Vol-1" });
  await settle();
  for (let ms = 1; ms < 500; ms += 83) await tell(1_000_000 + ms, 1 + ms);
  assert.deepEqual(told, [{ progress: { files: 1, volume: "Vol-1" } }]);
  assert.deepEqual(reporter.progress, { files: 500, volume: "Vol-1" });
  await tell(1_000_500, 600);
  assert.deepEqual(told[1], { progress: { files: 600, volume: "Vol-1" } });
  // A clock that was set back does not silence it until the old time has come again.
  await tell(900_000, 700);
  assert.deepEqual(told[2], { progress: { files: 700, volume: "Vol-1" } });
});

test("progress is left out while the director does not keep up; messages are not", async () => {
  const { promise, resolve } = withResolvers();
  const told: JobEvent[] = [];
  const reporter = new Reporter(async (event) => {
    told.push(event);
    await promise;
  });
  await reporter.message("info", "first");
  await reporter.message("info", "second");
  await reporter.setProgress({ files: 1 });
  resolve();
  await settle();
  assert.deepEqual(
    told.map((event) => event.message?.text ?? "progress"),
    ["first", "second"],
  );
  await reporter.setProgress({ files: 2 });
  await settle();
  assert.deepEqual(told.at(-1), { progress: { files: 2 } });
});

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
