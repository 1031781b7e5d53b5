/** For tests of the pack pool. */
import assert from "node:assert/strict";
import { contentDigest, PART_BYTES, PartsIdentity, ZERO_DIGEST } from "../../common/format/content.js";
import { decompressInto } from "../../common/format/zstd.js";
import { BackupKind, decodeFrame, decodeParts } from "../../proto/data/backup.js";
import type { PackResult } from "./pool.js";

/** A storage daemon in memory: keeps what frames and parts lists carry, checks every digest. */
export class FakeStore {
  readonly chunks = new Map<string, Buffer>();
  readonly contents = new Map<string, { parts: Buffer; size: number }>();
  readonly members: string[] = [];
  readonly open = new Map<number, Buffer[]>();
  frames = 0;
  claims = 0;
  forget = false;

  send = async (message: Buffer, onSent?: () => void): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (message[0] === BackupKind.frame) {
      this.#frame(message);
      // Nobody may look at it any more.
      message.fill(0xee);
      onSent?.();
    } else if (message[0] === BackupKind.parts) this.#parts(message);
    else assert.fail(`unexpected message ${message[0]}`);
  };

  claim = async (digests: Buffer): Promise<Buffer> => {
    this.claims++;
    await new Promise((resolve) => setImmediate(resolve));
    const answer = Buffer.alloc(digests.length / 32);
    for (let i = 0; i < answer.length; i++) {
      const hex = digests.toString("hex", i * 32, i * 32 + 32);
      answer[i] = !this.forget && this.chunks.has(hex) ? 1 : 0;
    }
    return answer;
  };

  #frame(message: Buffer): void {
    this.frames++;
    const { rawBytes, entries, data } = decodeFrame(message);
    const raw = Buffer.alloc(rawBytes);
    decompressInto(raw, data);
    for (const { digest, offset, length } of entries) {
      const bytes = raw.subarray(offset, offset + length);
      assert.ok(contentDigest(bytes).equals(digest));
      this.chunks.set(digest.toString("hex"), Buffer.from(bytes));
      const name = raw.toString("latin1", offset - 512, offset - 412);
      this.members.push(name.slice(0, name.indexOf("\0")));
    }
  }

  #parts(message: Buffer): void {
    const { sequence, parts, last } = decodeParts(message);
    const all = this.open.get(sequence) ?? [];
    this.open.set(sequence, all);
    all.push(parts);
    for (let at = 0; at < parts.length; at += PART_BYTES) {
      const digest = parts.subarray(at + 4, at + PART_BYTES);
      if (!digest.equals(ZERO_DIGEST))
        assert.ok(this.chunks.has(digest.toString("hex")), "part before its chunk");
    }
    if (last === undefined) return;
    const identity = new PartsIdentity();
    for (const segment of all) identity.add(segment);
    assert.ok(identity.digest().equals(last.identity));
    this.contents.set(last.identity.toString("hex"), { parts: Buffer.concat(all), size: last.size });
    this.open.delete(sequence);
  }

  /** Content of a result, put together again. */
  contentOf(result: PackResult): Buffer {
    if (result.content === undefined) return Buffer.alloc(0);
    const hex = result.content.toString("hex");
    if (!result.parts) return this.chunks.get(hex)!;
    const { parts, size } = this.contents.get(hex)!;
    const out: Buffer[] = [];
    for (let at = 0; at < parts.length; at += PART_BYTES) {
      const length = parts.readUInt32LE(at);
      const digest = parts.subarray(at + 4, at + PART_BYTES);
      const bytes = digest.equals(ZERO_DIGEST)
        ? Buffer.alloc(length)
        : this.chunks.get(digest.toString("hex"))!;
      assert.equal(bytes.length, length);
      out.push(bytes);
    }
    const whole = Buffer.concat(out);
    assert.equal(whole.length, size);
    return whole;
  }
}
