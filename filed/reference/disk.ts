/** Disk images of reference machines: empty ones for installers, and ones made of a tree. */
import { open } from "node:fs/promises";
import { BackupError, describeError } from "../../common/errors.js";
import { type BuildTools, runStep } from "./programs.js";

const SECTOR = 512;
const MIB = 1024 ** 2;
/** Where the first partition begins, as everywhere. */
const FIRST_BYTES = MIB;
/** A master boot record counts sectors in 32 bits. */
const MOST_BYTES = 2 ** 32 * SECTOR;

/** A sparse file that must not exist yet. @throws BackupError REFERENCE_PLACE */
export async function makeEmptyImage(file: string, sizeBytes: number): Promise<void> {
  try {
    const handle = await open(file, "wx", 0o600);
    try {
      await handle.truncate(sizeBytes);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new BackupError("REFERENCE_PLACE", `cannot make the image: ${describeError(cause)}`);
  }
}

/**
 * An ext4 file system with what is in `tree`, in an image that must not exist yet: all of it, or its only partition.
 * @throws BackupError REFERENCE_PLACE, and as `runStep`: with a tree that does not fit
 */
export async function makeImageOf(
  tree: string,
  image: { file: string; sizeBytes: number; partitioned: boolean },
  tools: BuildTools,
): Promise<void> {
  const { file, partitioned } = image;
  const sizeBytes = Math.floor(image.sizeBytes / MIB) * MIB;
  await makeEmptyImage(file, sizeBytes);
  const quiet = { ...tools, report: () => undefined };
  if (partitioned) await writeTable(file, sizeBytes);
  const offset = partitioned ? FIRST_BYTES : 0;
  const blocks = Math.floor((sizeBytes - offset) / 1024);
  const options = `offset=${offset},lazy_itable_init=1`;
  // Trees of many small files need more inodes than a file system has by itself.
  const words = [
    "mke2fs",
    "-q",
    "-F",
    "-t",
    "ext4",
    "-i",
    "8192",
    "-E",
    options,
    "-d",
    tree,
    file,
    `${blocks}k`,
  ];
  await runStep(quiet, { words });
}

/** A master boot record with one active Linux partition. @throws BackupError REFERENCE_PLACE */
async function writeTable(file: string, sizeBytes: number): Promise<void> {
  if (sizeBytes > MOST_BYTES)
    throw new BackupError("REFERENCE_PLACE", `${file}: a partitioned image has 2 TiB at most`);
  const table = Buffer.alloc(SECTOR);
  // Active, type 0x83; cylinders of before 1994 say "see the numbers of sectors".
  table.set([0x80, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff], 446);
  table.writeUInt32LE(FIRST_BYTES / SECTOR, 454);
  table.writeUInt32LE((sizeBytes - FIRST_BYTES) / SECTOR, 458);
  table.writeUInt16BE(0x55aa, 510);
  const handle = await open(file, "r+");
  try {
    await handle.write(table, 0, SECTOR, 0);
  } finally {
    await handle.close();
  }
}
