import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { test } from "node:test";
import { scratchDirectory } from "../../../common/scratch-directory.js";
import { asRoot } from "../../../common/test-needs.js";
import { type ByteRange, joined } from "./ranges.js";
import {
  assertSameTree,
  copyWithout,
  emptyImage,
  freeOf,
  hasTools,
  MIB,
  sampleTree,
  tool,
  writtenByKernel,
} from "./testing.js";

const TOOLS = ["mke2fs", "dumpe2fs", "e2fsck", "debugfs"];

/** Name, size in MiB, arguments of mke2fs. */
const KINDS: readonly (readonly [name: string, size: number, ...args: string[]])[] = [
  ["ext2, 1 KiB", 60, "-t", "ext2", "-b", "1024"],
  ["ext2, 4 KiB", 300, "-t", "ext2", "-b", "4096"],
  ["ext2, revision 0", 60, "-t", "ext2", "-r", "0", "-O", "none"],
  [
    "ext2, superblock copies in all groups",
    60,
    "-t",
    "ext2",
    "-b",
    "1024",
    "-O",
    "^sparse_super,^resize_inode",
  ],
  ["ext3, 2 KiB", 200, "-t", "ext3", "-b", "2048"],
  ["ext4, 1 KiB", 100, "-t", "ext4", "-b", "1024"],
  ["ext4, 4 KiB", 500, "-t", "ext4", "-b", "4096"],
  ["ext4, 4 KiB, ends within a group", 413, "-t", "ext4", "-b", "4096", "-E", "lazy_itable_init=1"],
  ["ext4, bigalloc", 500, "-t", "ext4", "-b", "4096", "-O", "bigalloc", "-C", "65536"],
  ["ext4, bigalloc, 1 KiB", 300, "-t", "ext4", "-b", "1024", "-O", "bigalloc", "-C", "8192"],
  ["ext4, meta_bg", 300, "-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode", "-g", "1024"],
  ["ext4, meta_bg, 4 KiB", 500, "-t", "ext4", "-O", "meta_bg,^resize_inode,^flex_bg"],
  ["ext4, without flex_bg", 500, "-t", "ext4", "-b", "4096", "-O", "^flex_bg"],
  ["ext4, large flex groups", 500, "-t", "ext4", "-b", "1024", "-G", "64"],
  ["ext4, 32 bit", 500, "-t", "ext4", "-b", "4096", "-O", "^64bit"],
  ["ext4, 64 bit without checksums", 300, "-t", "ext4", "-O", "64bit,^metadata_csum,^uninit_bg"],
  ["ext4, uninit_bg", 500, "-t", "ext4", "-b", "4096", "-O", "^metadata_csum,uninit_bg,64bit"],
  ["ext4, uninit_bg, 32 bit", 300, "-t", "ext4", "-b", "1024", "-O", "^metadata_csum,uninit_bg,^64bit"],
  ["ext4, sparse_super2", 300, "-t", "ext4", "-b", "1024", "-O", "sparse_super2"],
  ["ext4, seeded checksums, no journal", 300, "-t", "ext4", "-O", "metadata_csum_seed,^has_journal"],
  ["ext4, further features", 300, "-t", "ext4", "-O", "ea_inode,encrypt,verity,large_dir"],
];

/** What dumpe2fs says is free, group by group. */
function freeByDumpe2fs(file: string): ByteRange[] {
  const text = tool("dumpe2fs", file);
  const blockSize = Number(/^Block size: +(\d+)/m.exec(text)?.[1]);
  const last = Number(/^Block count: +(\d+)/m.exec(text)?.[1]);
  // Of a range of clusters it names the first block of the last one.
  const more = Number(/^Cluster size: +(\d+)/m.exec(text)?.[1] ?? blockSize) / blockSize;
  const ranges = [...text.matchAll(/^ {2}Free blocks: (.*)$/gm)]
    .flatMap(([, list]) => list!.split(", ").filter((one) => one !== ""))
    .map((one) => one.split("-").map(Number))
    .map(([from, to]) => ({
      start: from! * blockSize,
      end: Math.min(last, (to ?? from!) + more) * blockSize,
    }));
  return [...joined(ranges)];
}

/** Copies the image without its free space: it must be in order, and hold all that was put in. */
function assertNothingLost(file: string, ranges: readonly ByteRange[], tree: string): void {
  const copy = copyWithout(file, ranges);
  tool("e2fsck", "-fn", copy);
  const out = scratchDirectory("maps-out");
  tool("debugfs", "-R", `rdump / ${out}`, copy);
  assertSameTree(tree, out);
  rmSync(copy);
}

for (const [name, size, ...args] of KINDS) {
  test(`${name}: free is what dumpe2fs says, and the rest is enough`, (t) => {
    if (!hasTools(t, ...TOOLS)) return;
    const file = emptyImage(size * MIB);
    const tree = sampleTree();
    tool("mke2fs", "-q", "-F", "-d", tree, ...args, file);
    const { notes, ranges } = freeOf(file);
    assert.match(notes[0]!, /^whole disk, ext[234]: [\d.]+ MB of [\d.]+ MB free$/);
    assert.deepEqual(ranges, freeByDumpe2fs(file));
    assertNothingLost(file, freeOf(file, 65536).ranges, tree);
    rmSync(file);
  });
}

test("bigalloc with a last cluster that reaches beyond the end", (t) => {
  if (!hasTools(t, ...TOOLS)) return;
  const file = emptyImage(100 * MIB);
  tool("mke2fs", "-q", "-F", "-t", "ext4", "-O", "bigalloc", "-C", "65536", file, "25590");
  assert.deepEqual(freeOf(file).ranges, freeByDumpe2fs(file));
});

for (const type of ["ext2", "ext4"]) {
  test(`${type} that the kernel wrote: frozen or unmounted its map counts, in use it does not`, (t) => {
    if (!asRoot(t) || !hasTools(t, ...TOOLS, "fsfreeze")) return;
    const file = emptyImage(200 * MIB);
    tool("mke2fs", "-q", "-F", "-t", type, "-b", "1024", file);
    const { note, frozen, tree } = writtenByKernel(file);
    assert.match(note, /read whole \(in use when it was copied/);
    const { ranges } = freeOf(file);
    assert.deepEqual(ranges, freeByDumpe2fs(file));
    assert.ok(ranges.length > 100);
    assertNothingLost(file, ranges, tree);
    // Without a journal a freeze cannot say that it was clean.
    if (type === "ext2") return assert.match(freeOf(frozen).notes[0]!, /not marked clean/);
    assert.deepEqual(freeOf(frozen).ranges, freeByDumpe2fs(frozen));
    assertNothingLost(frozen, freeOf(frozen).ranges, tree);
  });
}

test("errors, journals of others and unknown features are read whole", (t) => {
  if (!hasTools(t, ...TOOLS)) return;
  const notesAfter = (...commands: string[]) => {
    const file = emptyImage(32 * MIB);
    tool("mke2fs", "-q", "-F", "-t", "ext4", file);
    for (const command of commands) tool("debugfs", "-w", "-R", command, file);
    return freeOf(file).notes.join();
  };
  assert.match(notesAfter(), /free$/);
  assert.match(notesAfter("ssv state 3"), /ext4: read whole \(has errors, and wants e2fsck\)/);
  assert.match(notesAfter("ssv state 0"), /not marked clean/);
  assert.match(notesAfter("feature needs_recovery"), /its journal is not empty/);
  assert.match(notesAfter("feature FEATURE_I20"), /features that are not known/);
  assert.match(notesAfter("freeb 100"), /own tables count as free|do not add up/);
  assert.match(notesAfter("ssv blocks_count 90000"), /larger than its partition/);
  const journal = emptyImage(32 * MIB);
  tool("mke2fs", "-q", "-F", "-O", "journal_dev", journal);
  assert.match(freeOf(journal).notes.join(), /a journal of another file system/);
});
