/** `basalt volume copy`: a volume file into another one, which is read back and checked as `verify` checks it. */
import { dirname } from "node:path";
import { Blake3Hasher } from "@napi-rs/blake-hash";
import { BackupError, EXIT } from "../../common/errors.js";
import { FileStore } from "../store/file-store.js";
import type { Store } from "../store/store.js";
import type { Print, VolumeCommandOutput } from "./cli.js";
import { verifyVolume } from "./cli-verify.js";
import { VolumeReader } from "./reader.js";

/** Runs the command. @throws BackupError, USAGE for wrong arguments */
export async function copyCommand(args: readonly string[], output: VolumeCommandOutput): Promise<number> {
  const [from, to, more] = args;
  if (
    to === undefined ||
    from === undefined ||
    more !== undefined ||
    args.some((arg) => arg.startsWith("--"))
  )
    throw new BackupError("USAGE", "copy needs FROM and TO, and nothing else");
  await copyVolume(new FileStore(), from, to, output.out);
  return EXIT.ok;
}

const PIECE_BYTES = 1024 * 1024;

/**
 * Copies `from` to the new file `to`. The copy is durable, and everything on it has been checked, when this resolves;
 * otherwise no copy is left. What is appended to `from` meanwhile is not copied.
 * @throws STORE_EXISTS; VOLUME_DAMAGED when `from` is, or has a torn end; other STORE_ codes
 */
export async function copyVolume(store: Store, from: string, to: string, print: Print): Promise<void> {
  await checkLabel(store, from);
  const source = await store.open(from, "read");
  try {
    const target = await store.create(to);
    try {
      const bytes = Buffer.allocUnsafeSlow(PIECE_BYTES);
      const hash = new Blake3Hasher();
      const { size } = source;
      for (let at = 0; at < size; ) {
        const count = await source.readAt(bytes.subarray(0, Math.min(PIECE_BYTES, size - at)), at);
        if (count === 0) throw new BackupError("VOLUME_SHORT", `${from} became shorter while it was copied`);
        await target.append([bytes.subarray(0, count)]);
        hash.update(bytes.subarray(0, count));
        at += count;
      }
      await target.sync();
      await store.syncDirectory(dirname(to));
      await checkCopy(store, to, { size, digest: hash.digest(), from }, print);
    } catch (error) {
      await store.unlink(to).catch(() => undefined);
      throw error;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Refuses what is no volume before a file is made. */
async function checkLabel(store: Store, path: string): Promise<void> {
  const reader = await VolumeReader.open(store, path);
  try {
    await reader.readLabel();
  } finally {
    await reader.close();
  }
}

async function checkCopy(
  store: Store,
  to: string,
  source: { size: number; digest: string; from: string },
  print: Print,
): Promise<void> {
  const reader = await VolumeReader.open(store, to);
  try {
    if (reader.size !== source.size || (await digestOf(store, to)) !== source.digest)
      throw new BackupError("VOLUME_DAMAGED", `${to} is not what was written to it: the disk is bad`);
    if (await verifyVolume(reader, print)) return;
    throw new BackupError(
      "VOLUME_DAMAGED",
      `${source.from} is damaged and was not copied: see what \`basalt volume verify\` says`,
    );
  } finally {
    await reader.close();
  }
}

async function digestOf(store: Store, path: string): Promise<string> {
  const file = await store.open(path, "read");
  try {
    const hash = new Blake3Hasher();
    const bytes = Buffer.allocUnsafeSlow(PIECE_BYTES);
    for (let at = 0; at < file.size; ) {
      const count = await file.readAt(bytes, at);
      if (count === 0) break;
      hash.update(bytes.subarray(0, count));
      at += count;
    }
    return hash.digest();
  } finally {
    await file.close();
  }
}
