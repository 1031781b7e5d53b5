import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  contentDigest,
  encodePart,
  PART_BYTES,
  PartsIdentity,
  ZERO_DIGEST,
} from "../../common/format/content.js";
import { RowFlag } from "../../common/format/row.js";
import { decompressInto } from "../../common/format/zstd.js";
import { createLog } from "../../common/log.js";
import { decodeJson, encodeParts } from "../../proto/data/backup.js";
import {
  decodeBlocks,
  decodeDone,
  decodeZeros,
  encodeRead,
  ImageKind,
  type ReadableImage,
} from "../../proto/data/image-read.js";
import type { JobEvent } from "../../proto/generated/basalt/v1/JobEvent.js";
import type { DataStream } from "../../proto/rpc.js";
import { noise } from "../../test/helpers/random.js";
import { type FakeFiled, fileRow, streamPair } from "./fake-filed.js";
import { ImageSession } from "./image-session.js";
import { TestStorage } from "./testing.js";

const KIB = 1024;
const MIB = 1024 * KIB;
const BLOCK = 64 * KIB;
const SIZE = 24 * MIB + 100;

let storage: TestStorage;
before(async () => {
  storage = await new TestStorage().open();
});
after(() => storage.close());

/** A disk: data in the first two MiB and the last bytes, zeros between. */
function disk(): Buffer {
  const bytes = Buffer.alloc(SIZE);
  noise(2 * MIB, "start").copy(bytes);
  noise(100, "end").copy(bytes, 24 * MIB);
  return bytes;
}

/** Sends all blocks of an image that are not zeros and not `known`, sixteen to a frame, and its row. */
async function sendImage(
  fake: FakeFiled,
  bytes: Buffer,
  known: Set<string>,
  key = "dev\0disk",
): Promise<void> {
  const blocks: { at: number; bytes: Buffer; digest: Buffer }[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK);
    const digest = block.every((byte) => byte === 0) ? ZERO_DIGEST : contentDigest(block);
    blocks.push({ at, bytes: block, digest });
  }
  const missing = blocks.filter(({ digest }) => {
    const hex = digest.toString("hex");
    if (digest.equals(ZERO_DIGEST) || known.has(hex)) return false;
    known.add(hex);
    return true;
  });
  for (let i = 0; i < missing.length; i += 16) {
    const frame = missing.slice(i, i + 16);
    const name = (digest: Buffer) => `.basalt\0parts\0${digest.toString("hex")}`;
    await fake.frame(frame.map(({ digest, bytes: data }) => ({ key: name(digest), bytes: data })));
  }
  const parts = Buffer.alloc(blocks.length * PART_BYTES);
  blocks.forEach((block, i) => {
    encodePart(parts, i * PART_BYTES, block.bytes.length, block.digest);
  });
  const hash = new PartsIdentity();
  hash.add(parts);
  const identity = hash.digest();
  await fake.stream.send(encodeParts({ sequence: 1, parts, last: { size: bytes.length, identity } }));
  const flags = RowFlag.parts | RowFlag.sparse;
  await fake.rows([{ ...fileRow(key, Buffer.from("x")), size: bytes.length, content: identity, flags }]);
  await fake.end();
}

class Reading {
  readonly events: JobEvent[] = [];
  readonly session: ImageSession;
  readonly ended: Promise<void>;
  images: ReadableImage[] = [];
  bytes = 0;
  frames = 0;
  #stream!: DataStream;
  #incoming!: AsyncIterator<Buffer>;
  served: Promise<void> = Promise.resolve();

  constructor(jobIds: number[], path = "dev\0disk") {
    const { catalog, store, devices, directory } = storage;
    const log = createLog("test", { level: "silent" });
    const deps = { catalog, store, log, workingDirectory: directory, devices: () => devices };
    const facts = {
      jobId: 99,
      jobUuid: "u",
      job: "restore",
      ticket: "",
      client: "vm-fd",
      filedTimeoutSec: 5,
    };
    const request = { ...facts, images: true, selection: { jobIds, rules: [] } };
    const rules = [{ key: path, include: true, recursive: false }];
    const send = async (event: JobEvent) => void this.events.push(event);
    this.session = new ImageSession(deps, request, rules, send);
    this.ended = this.session.run();
  }

  async begin(): Promise<this> {
    while (!this.events.some(({ state, result }) => state?.state === "ready" || result))
      await new Promise(setImmediate);
    const [mine, theirs] = streamPair();
    this.#stream = theirs;
    this.served = this.session.serve(mine);
    this.served.catch((error) => theirs.destroy(error));
    this.#incoming = theirs.incoming[Symbol.asyncIterator]();
    const message = await this.#next();
    assert.equal(message[0], ImageKind.images);
    this.images = decodeJson<ReadableImage[]>(message);
    return this;
  }

  async #next(): Promise<Buffer> {
    const { value, done } = await this.#incoming.next();
    if (done === true) throw new Error("ended");
    return value;
  }

  send(message: Buffer): Promise<void> {
    return this.#stream.send(message);
  }

  /** The bytes, or why there are none. */
  async read(offset: number, length: number, image = 0): Promise<Buffer | string> {
    await this.send(encodeRead({ image, offset, length }));
    const out = Buffer.alloc(length, 0xee);
    const put = (at: number, bytes: Buffer) => {
      const from = Math.max(0, offset - at);
      if (from < bytes.length && at < offset + length) bytes.copy(out, Math.max(0, at - offset), from);
    };
    for (;;) {
      const message = await this.#next();
      this.bytes += message.length;
      if (message[0] === ImageKind.done) return decodeDone(message) || out;
      if (message[0] === ImageKind.zeros) {
        for (const zeros of decodeZeros(message)) put(zeros.offset, Buffer.alloc(zeros.length));
        continue;
      }
      this.frames++;
      const { blocks, rawBytes, frame } = decodeBlocks(message);
      const raw = Buffer.alloc(rawBytes);
      decompressInto(raw, frame);
      for (const block of blocks) {
        const bytes = raw.subarray(block.frameOffset, block.frameOffset + block.length);
        assert.deepEqual(contentDigest(bytes), block.digest);
        put(block.offset, bytes);
      }
    }
  }

  async end(): Promise<JobEvent["result"]> {
    await this.#stream.end();
    await this.ended;
    return this.events.at(-1)!.result;
  }
}

test("any range of an image is read, of a Full and of the Incremental over it; only their frames are sent", async () => {
  const known = new Set<string>();
  const old = disk();
  const full = await storage.backup((fake) => sendImage(fake, old, known));
  assert.equal(full.result.ok, true, full.result.reason);
  const changed = disk();
  noise(5000, "new").copy(changed, 3 * BLOCK - 10);
  noise(5000, "more").copy(changed, 12 * MIB);
  const inc = await storage.backup((fake) => sendImage(fake, changed, known), { level: "Incremental" });
  assert.equal(inc.result.ok, true, inc.result.reason);
  for (const [jobId, expected] of [
    [full.jobId, old],
    [inc.jobId, changed],
  ] as const) {
    const reading = await new Reading([jobId]).begin();
    assert.deepEqual(reading.images, [{ path: "/dev/disk", size: SIZE }]);
    for (const [offset, length] of [
      ...[
        [0, 512],
        [3 * BLOCK - 20, 100],
        [MIB - 1, 2],
        [12 * MIB - 1, 6000],
        [SIZE - 101, 101],
      ],
      ...[
        [5 * MIB, 4 * MIB],
        [0, 4 * MIB],
        [SIZE - 1, 1],
      ],
    ] as [number, number][]) {
      const got = await reading.read(offset, length);
      assert.ok(
        expected.subarray(offset, offset + length).equals(got as Buffer),
        `${jobId}: ${offset}+${length}`,
      );
    }
    const result = await reading.end();
    assert.equal(result?.ok, true, result?.reason);
    assert.ok((result?.volumes ?? []).length > 0);
  }
});

test("neighbours that lie in a frame come with it; zeros cost nothing", async () => {
  const run = await storage.backup((fake) => sendImage(fake, disk(), new Set()), { jobName: "near" });
  const reading = await new Reading([run.jobId]).begin();
  await reading.read(0, 512);
  assert.equal(reading.frames, 1);
  const before = reading.bytes;
  assert.ok(before < MIB + 64 * KIB, `${before}`);
  await reading.read(10 * MIB, 4 * MIB);
  assert.ok(reading.bytes - before < 16 * KIB, `${reading.bytes - before}`);
  await reading.end();
});

test("nothing but the images that were named can be read", async () => {
  const run = await storage.backup((fake) => sendImage(fake, disk(), new Set()), { jobName: "alone" });
  const reading = await new Reading([run.jobId]).begin();
  for (const [offset, length, image] of [
    [SIZE - 1, 2, 0],
    [SIZE + 5 * MIB, 1, 0],
    [0, 1, 1],
  ] as const)
    assert.match(String(await reading.read(offset, length, image)), /outside of the job's images/);
  assert.ok(Buffer.isBuffer(await reading.read(0, 1)));
  await reading.end();
  const none = new Reading([run.jobId], "dev");
  await none.ended;
  assert.match(none.events.at(-1)?.result?.reason ?? "", /no such disk image/);
});

test("what is no read ends the restore", async () => {
  const run = await storage.backup((fake) => sendImage(fake, disk(), new Set()), { jobName: "garbled" });
  for (const message of [
    Buffer.of(9),
    Buffer.of(ImageKind.read),
    encodeRead({ image: 0, offset: 0, length: 5 * MIB }),
  ]) {
    const reading = await new Reading([run.jobId]).begin();
    await reading.send(message);
    await assert.rejects(reading.served, { code: "PROTOCOL_VIOLATION" });
    await reading.ended;
    assert.equal(reading.events.at(-1)?.result?.ok, false);
  }
});

test("a canceled restore lets go at once", async () => {
  const run = await storage.backup((fake) => sendImage(fake, disk(), new Set()), { jobName: "canceled" });
  const reading = await new Reading([run.jobId]).begin();
  reading.session.cancel("enough");
  await reading.ended;
  assert.equal(reading.events.at(-1)?.result?.canceled, true);
  await assert.rejects(reading.served);
});

test("a damaged frame is the trouble of the reads that need it", async () => {
  const known = new Set<string>();
  const bytes = disk();
  const run = await storage.backup((fake) => sendImage(fake, bytes, known, "dev\0hurt"), {
    jobName: "hurt",
    pool: "Full-Pool",
  });
  assert.equal(run.result.ok, true, run.result.reason);
  const volume = join(
    storage.directory,
    readdirSync(storage.directory).find((name) => name.startsWith("Vol-"))!,
  );
  const file = readFileSync(volume);
  // The record in front of every frame: none can be read any more.
  for (let at = file.indexOf("BSLT"); at >= 0; at = file.indexOf("BSLT", at + 1)) file[at] = 0;
  writeFileSync(volume, file);
  const reading = await new Reading([run.jobId], "dev\0hurt").begin();
  assert.equal(typeof (await reading.read(0, 512)), "string");
  assert.deepEqual(await reading.read(10 * MIB, 512), Buffer.alloc(512));
  await reading.end();
});
