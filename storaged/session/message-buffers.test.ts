import assert from "node:assert/strict";
import { test } from "node:test";
import type { DataStream } from "../../proto/rpc.js";
import { MessageBuffers } from "./message-buffers.js";

test("a buffer is used again when its message has left, not before", async () => {
  const sent: { message: Buffer; left: () => void }[] = [];
  const released: Buffer[] = [];
  const stream = {
    release: (memory: Buffer) => void released.push(memory),
    async send(message: Buffer, onSent?: () => void) {
      sent.push({ message, left: onSent! });
    },
  } as Partial<DataStream> as DataStream;
  const buffers = new MessageBuffers();
  const send = (pieces: Buffer[]): Promise<void> => {
    const text = Buffer.concat(pieces);
    const room = buffers.room(text.length);
    text.copy(room.buffer);
    return buffers.sendRoom(stream, room, room.buffer.subarray(0, text.length));
  };
  await send([Buffer.from("one "), Buffer.alloc(300_000, "1")]);
  await send([Buffer.alloc(200_000, "2")]);
  const [one, two] = sent as [(typeof sent)[0], (typeof sent)[0]];
  assert.equal(one.message.toString("latin1"), `one ${"1".repeat(300_000)}`);
  assert.equal(two.message.toString("latin1"), "2".repeat(200_000));
  assert.notEqual(one.message.buffer, two.message.buffer);
  one.left();
  await send([Buffer.alloc(400_000, "3")]);
  const third = sent[2]!;
  assert.equal(third.message.buffer, one.message.buffer);
  assert.equal(third.message.toString("latin1"), "3".repeat(400_000));
  // The small one that is free does not do for a large message, and a short message takes no buffer away.
  two.left();
  await send([Buffer.from("short")]);
  const short = sent.pop()!;
  assert.equal(short.message.toString("latin1"), "short");
  assert.equal(released.length, 0);
  short.left();
  assert.equal(released[0]?.buffer, short.message.buffer);
  await send([Buffer.alloc(500_000, "4")]);
  assert.notEqual(sent[3]!.message.buffer, two.message.buffer);
  assert.equal(third.message.toString("latin1"), "3".repeat(400_000));
});
