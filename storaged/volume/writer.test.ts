import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf } from "../../common/errors.js";
import { RecordKind } from "../../common/format/frame.js";
import { MemoryStore, type StoreFault, type StoreStep } from "../store/memory-store.js";
import { fileMember, frameOf, TEST_JOB, TEST_UUID } from "./fixture.js";
import { uuidBytes } from "./json.js";
import { encodeLabel, isVolumeName, newLabel, volumePath } from "./label.js";
import { VolumeReader } from "./reader.js";
import { VolumeWriter } from "./writer.js";

const PATH = "/volumes/Full-0001";
const label = () =>
  newLabel({ volume: "Full-0001", pool: "Full", mediaType: "File", storage: "sd1", createdMs: 5 });
const FRAME = frameOf([{ member: fileMember("job12/a"), data: Buffer.from("content") }]);
const jobUuid = uuidBytes(TEST_UUID);

async function types(store: MemoryStore): Promise<string[]> {
  const reader = await VolumeReader.open(store, PATH);
  const out: string[] = [];
  for await (const item of reader.scan())
    out.push(item.type === "frame" ? `frame ${item.index.sequence}` : item.type);
  return out;
}

/** A store with one volume, and a switch for faults. */
async function prepared() {
  let before: (step: StoreStep) => StoreFault | undefined = () => undefined;
  const store = new MemoryStore({ before: (step) => before(step) });
  const writer = await VolumeWriter.create(store, PATH, label());
  return {
    store,
    writer,
    inject: (next: typeof before) => {
      before = next;
    },
  };
}

test("names of volumes", () => {
  for (const name of ["a", "Full-0001", "_x", "9:a.b-c", "x".repeat(127)])
    assert.ok(isVolumeName(name), name);
  for (const name of ["", ".", ".a", "-a", ":a", "a b", "a/b", "ä", "a\n", "x".repeat(128)]) {
    assert.ok(!isVolumeName(name), name);
    assert.throws(
      () => volumePath("/v", name),
      (error) => codeOf(error) === "VOLUME_NAME_INVALID",
    );
  }
  assert.equal(volumePath("/v", "Full-0001"), "/v/Full-0001");
});

test("a new volume is durable with its label, and is never made twice", async () => {
  const { store, writer } = await prepared();
  const survived = store.crash();
  const reader = await VolumeReader.open(survived, PATH);
  assert.deepEqual(await reader.readLabel(), writer.label);
  await assert.rejects(
    VolumeWriter.create(store, PATH, label()),
    (error) => codeOf(error) === "STORE_EXISTS",
  );
  assert.equal((await store.stat(PATH))?.sizeBytes, writer.bytes);
});

test("a label that cannot be written leaves no file, whichever step fails", async () => {
  for (const failing of ["create", "append", "sync", "syncDirectory"]) {
    const store = new MemoryStore({
      before: ({ operation }) => (operation === failing ? { errno: "ENOSPC", written: 10 } : undefined),
    });
    await assert.rejects(
      VolumeWriter.create(store, PATH, label()),
      (error) => codeOf(error) === "STORE_FULL",
    );
    assert.deepEqual(await store.list("/volumes"), [], failing);
  }
});

test("concurrent appends are written in the order of the calls", async () => {
  const { store, writer } = await prepared();
  const calls = Array.from({ length: 20 }, (_, sequence) =>
    writer.appendFrame({ jobUuid, sequence, ...FRAME }),
  );
  const places = await Promise.all(calls);
  for (let i = 1; i < places.length; i++) assert.equal(places[i]!.offset, places[i - 1]!.end);
  assert.equal(writer.bytes, places.at(-1)!.end);
  assert.deepEqual(await types(store), ["label", ...places.map((_, i) => `frame ${i}`)]);
  const reader = await VolumeReader.open(store, PATH);
  const { index, frame, end } = await reader.readFrameAt(places[7]!.offset);
  assert.equal(index.sequence, 7);
  assert.deepEqual(index.entries, FRAME.entries);
  assert.deepEqual(frame, FRAME.data);
  assert.equal(end, places[7]!.end);
});

test("a frame and its index are one write", async () => {
  const { writer, inject } = await prepared();
  const appends: number[] = [];
  inject(({ operation, bytes }) => {
    if (operation === "append") appends.push(bytes);
    return undefined;
  });
  const { offset, end } = await writer.appendFrame({ jobUuid, sequence: 0, ...FRAME });
  assert.deepEqual(appends, [end - offset]);
});

test("a failed append is cut off and the next one follows the last good one", async () => {
  const { store, writer, inject } = await prepared();
  await writer.appendFrame({ jobUuid, sequence: 0, ...FRAME });
  let broken = false;
  inject(({ operation }) => {
    if (operation !== "append" || broken) return undefined;
    broken = true;
    return { errno: "ENOSPC", written: 100 };
  });
  const failing = writer.appendFrame({ jobUuid, sequence: 1, ...FRAME });
  const next = writer.appendFrame({ jobUuid, sequence: 2, ...FRAME });
  await assert.rejects(failing, (error) => codeOf(error) === "STORE_FULL");
  await next;
  assert.equal((await store.stat(PATH))?.sizeBytes, writer.bytes);
  assert.deepEqual(await types(store), ["label", "frame 0", "frame 2"]);
});

test("a writer that cannot cut back refuses everything after", async () => {
  const { writer, inject } = await prepared();
  const good = writer.bytes;
  inject(({ operation }) =>
    operation === "append" || operation === "truncate" ? { errno: "EIO", written: 9 } : undefined,
  );
  await assert.rejects(
    writer.appendRecord(RecordKind.jobBegin, TEST_JOB),
    (error) => codeOf(error) === "STORE_IO",
  );
  inject(() => undefined);
  assert.ok(writer.broken);
  for (const call of [writer.sync(), writer.appendFrame({ jobUuid, sequence: 0, ...FRAME })]) {
    await assert.rejects(call, (error) => codeOf(error) === "VOLUME_BROKEN");
  }
  assert.equal(writer.bytes, good);
  await writer.close();
});

test("after a failed sync nothing is trusted", async () => {
  const { writer, inject } = await prepared();
  await writer.appendFrame({ jobUuid, sequence: 0, ...FRAME });
  inject(({ operation }) => (operation === "sync" ? { errno: "EIO" } : undefined));
  await assert.rejects(writer.sync(), (error) => codeOf(error) === "STORE_IO");
  inject(() => undefined);
  await assert.rejects(writer.sync(), (error) => codeOf(error) === "VOLUME_BROKEN");
});

test("sync covers exactly the appends called before it, and is shared by those who wait together", async () => {
  const { store, writer, inject } = await prepared();
  let syncs = 0;
  inject(({ operation }) => {
    if (operation === "sync") syncs++;
    return undefined;
  });
  const first = writer.appendFrame({ jobUuid, sequence: 0, ...FRAME });
  const together = [writer.sync(), writer.sync()];
  const second = writer.appendFrame({ jobUuid, sequence: 1, ...FRAME });
  const last = writer.sync();
  const { end } = await first;
  assert.deepEqual(await Promise.all(together), [end, end]);
  assert.equal(await last, (await second).end);
  assert.equal(syncs, 2);
  assert.equal(store.crash().contents(PATH).length, writer.bytes);
});

test("opening cuts off what was never committed", async () => {
  const { store, writer } = await prepared();
  await writer.appendFrame({ jobUuid, sequence: 0, ...FRAME });
  const committed = await writer.sync();
  await writer.appendFrame({ jobUuid, sequence: 1, ...FRAME });
  await writer.close();
  const crashed = store.crash({}, (_path, _durable, current) => current - 3);
  const again = await VolumeWriter.open(crashed, PATH, committed);
  assert.equal(again.label.volume, "Full-0001");
  assert.equal(again.bytes, committed);
  assert.equal(crashed.crash().contents(PATH).length, committed);
  await again.appendFrame({ jobUuid, sequence: 5, ...FRAME });
  assert.deepEqual(await types(crashed), ["label", "frame 0", "frame 5"]);
});

test("a volume shorter than what was committed is not opened, nor is a file without label", async () => {
  const { store, writer } = await prepared();
  await assert.rejects(
    VolumeWriter.open(store, PATH, writer.bytes + 1),
    (error) => codeOf(error) === "VOLUME_SHORT",
  );
  store.place("/volumes/other", Buffer.from("something else entirely"));
  await assert.rejects(
    VolumeWriter.open(store, "/volumes/other", 5),
    (error) => codeOf(error) === "VOLUME_DAMAGED",
  );
});

test("a closed writer refuses appends and waits for those under way", async () => {
  const { store, writer } = await prepared();
  const pending = writer.appendFrame({ jobUuid, sequence: 0, ...FRAME });
  await writer.close();
  await pending;
  assert.deepEqual(await types(store), ["label", "frame 0"]);
  await assert.rejects(
    writer.appendFrame({ jobUuid, sequence: 1, ...FRAME }),
    (error) => codeOf(error) === "VOLUME_BROKEN",
  );
});

test("appends go on while a sync runs, which promises only what was there when it began", async () => {
  const { store, writer } = await prepared();
  const first = await writer.appendFrame({ jobUuid, sequence: 0, ...FRAME });
  let finish: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const file = await store.open(PATH, "append");
  const original = Object.getPrototypeOf(file).sync;
  let running = 0;
  Object.getPrototypeOf(file).sync = async function (this: unknown) {
    running++;
    await original.call(this);
    await held;
  };
  try {
    const early = writer.sync();
    while (running === 0) await new Promise(setImmediate);
    const second = await writer.appendFrame({ jobUuid, sequence: 1, ...FRAME });
    const late = [writer.sync(), writer.sync()];
    assert.equal(store.crash().contents(PATH).length, first.end);
    finish();
    assert.equal(await early, first.end);
    assert.deepEqual(await Promise.all(late), [second.end, second.end]);
    assert.equal(running, 2);
    assert.equal(store.crash().contents(PATH).length, second.end);
    await writer.close();
  } finally {
    Object.getPrototypeOf(file).sync = original;
  }
});

test("recycling leaves nothing but a new label; a crash at any step leaves what can be recycled again", async () => {
  for (let step = 0; ; step++) {
    const { store, writer, inject } = await prepared();
    await writer.appendFrame({ jobUuid, sequence: 0, ...FRAME });
    await writer.sync();
    await writer.close();
    let steps = 0;
    inject(() => {
      if (steps++ === step) throw new Error("crash");
      return undefined;
    });
    const next = label();
    const done = await VolumeWriter.recycle(store, PATH, next).catch(() => undefined);
    inject(() => undefined);
    for (const tear of [0, 1, 50, 10_000]) {
      const after = store.crash({}, (_path, durable, current) => Math.min(Math.max(durable, tear), current));
      const again = await VolumeWriter.recycle(after, PATH, next);
      assert.deepEqual(after.crash().contents(PATH), encodeLabel(next));
      assert.equal(again.bytes, encodeLabel(next).length);
    }
    if (done === undefined) continue;
    assert.deepEqual(store.crash().contents(PATH), encodeLabel(next));
    assert.ok(steps <= step);
    return;
  }
});

test("a label that is refused leaves the file as it is", async () => {
  const { store, writer } = await prepared();
  await writer.appendFrame({ jobUuid, sequence: 0, ...FRAME });
  await writer.close();
  const before = store.contents(PATH);
  const refuse = () => {
    throw new Error("not mine");
  };
  await assert.rejects(VolumeWriter.open(store, PATH, 10, refuse), /not mine/);
  assert.deepEqual(store.contents(PATH), before);
});
