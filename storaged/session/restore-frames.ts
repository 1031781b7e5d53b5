/** The frames of a restore, from the volumes to the data stream: read ahead, each straight into the message that it becomes. */
import { describeError } from "../../common/errors.js";
import type { DataStream } from "../../proto/rpc.js";
import { asBuffer, type Remote } from "../catalog/worker-rpc.js";
import type { FrameSource } from "./frame-source.js";
import { MessageBuffers, type MessageRoom } from "./message-buffers.js";
import type { PlanMethods } from "./restore-plan-worker.js";
import type { PlannedFrame } from "./restore-reading.js";

export interface FrameSending {
  stream: DataStream;
  /** A message of so many bytes was handed to the stream. */
  onSent: (bytes: number) => Promise<void>;
  /** A frame could not be read; paths of the entries that are lost with it. */
  onLost: (paths: readonly string[], why: string) => Promise<void>;
}

/** A frame under way. */
interface Reading {
  planned: PlannedFrame;
  room: MessageRoom;
  frame: Promise<Buffer>;
}

/** Frames read ahead of the one that is being sent. */
const READ_AHEAD = 4;

/** Sends all frames of the plan in its order and closes the source. @throws as DataStream.send */
export async function sendFrames(
  plan: Remote<PlanMethods>,
  source: FrameSource,
  sending: FrameSending,
): Promise<void> {
  const buffers = new MessageBuffers();
  const planned: PlannedFrame[] = [];
  const ahead: Reading[] = [];
  try {
    for (;;) {
      while (ahead.length < READ_AHEAD) {
        if (planned.length === 0) planned.push(...(await plan.nextFrames()));
        const next = planned.shift();
        if (next === undefined) break;
        ahead.push(read(source, next, buffers));
      }
      const oldest = ahead.shift();
      if (oldest === undefined) return;
      await sendFrame(plan, oldest, buffers, sending);
    }
  } finally {
    await Promise.allSettled(ahead.map(({ frame }) => frame));
    await source.close();
  }
}

/** The head of the message will take the place of the frame's index record. */
function read(source: FrameSource, planned: PlannedFrame, buffers: MessageBuffers): Reading {
  const { volume, offset, bytes } = planned;
  const head = asBuffer(planned.head);
  const room = buffers.room(head.length + bytes);
  const frame = source.read(volume, offset, bytes, room.buffer.subarray(head.length));
  frame.catch(() => undefined);
  return { planned: { ...planned, head }, room, frame };
}

async function sendFrame(
  plan: Remote<PlanMethods>,
  { planned, room, frame }: Reading,
  buffers: MessageBuffers,
  { stream, onSent, onLost }: FrameSending,
): Promise<void> {
  const { head, volume, offset } = planned;
  let bytes: Buffer;
  try {
    bytes = await frame;
  } catch (error) {
    buffers.giveBack(room);
    await onLost(await plan.lose(volume, offset), describeError(error));
    return;
  }
  const { buffer } = room;
  if (bytes.buffer === buffer.buffer) {
    const start = bytes.byteOffset - buffer.byteOffset - head.length;
    buffer.set(head, start);
    await buffers.sendRoom(stream, room, buffer.subarray(start, start + head.length + bytes.length));
  } else {
    buffers.giveBack(room);
    await stream.send(Buffer.concat([head, bytes]));
  }
  await onSent(head.length + bytes.length);
}
