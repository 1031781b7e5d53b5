import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
  whileFrozen,
  whileMounted,
  writtenByKernel,
} from "./testing.js";

const TOOLS = ["mkfs.xfs", "xfs_db", "xfs_repair"];

/** Name, can the kernels of today mount it, arguments of mkfs.xfs. */
const KINDS: readonly (readonly [name: string, isMountable: boolean, ...args: string[]])[] = [
  ["version 5", true],
  ["version 5, 1 KiB", true, "-b", "size=1024"],
  ["version 5, rmapbt, reflink", true, "-m", "rmapbt=1,reflink=1", "-d", "agcount=3"],
  ["version 5, sectors of 4 KiB", true, "-s", "size=4096"],
  ["version 5, log in stripes", true, "-l", "su=64k"],
  ["version 5, nothing optional", true, "-m", "finobt=0,rmapbt=0,reflink=0,bigtime=0,inobtcount=0"],
  ["version 4", false, "-m", "crc=0"],
  ["version 4, 512 B", false, "-m", "crc=0", "-b", "size=512", "-n", "size=4096"],
  ["version 4, old attributes, log of version 1", false, "-m", "crc=0", "-i", "attr=1", "-l", "version=1"],
];

function makeXfs(...args: string[]): string {
  const file = emptyImage(120 * MIB);
  tool("mkfs.xfs", "-q", "-f", ...args, file);
  return file;
}

/** The fields that xfs_db prints as `name = value`. */
function fields(file: string, ...commands: string[]): Map<string, string> {
  const text = tool("xfs_db", "-r", ...commands.flatMap((one) => ["-c", one]), file);
  return new Map([...text.matchAll(/^(\S+) = (.*)$/gm)].map(([, name, value]) => [name!, value!]));
}

/** What xfs_db says is free, without the blocks on the groups' own free lists, which it counts as free too. */
function freeByXfsDb(file: string): ByteRange[] {
  const super_ = fields(file, "sb 0", "print blocksize agblocks agcount");
  const [blockSize, groupBlocks] = [Number(super_.get("blocksize")), Number(super_.get("agblocks"))];
  const listed = new Set<string>();
  for (let group = 0; group < Number(super_.get("agcount")); group++) {
    const header = fields(file, `agf ${group}`, "print flfirst fllast flcount");
    const list = tool("xfs_db", "-r", "-c", `agfl ${group}`, "-c", "print bno", file);
    const first = Number(header.get("flfirst"));
    for (const [, from, to, block] of list.matchAll(/(\d+)(?:-(\d+))?:(\d+|null)/g)) {
      for (let index = Number(from); index <= Number(to ?? from); index++) {
        if (index >= first && index <= Number(header.get("fllast"))) listed.add(`${group} ${block}`);
      }
    }
  }
  const text = tool("xfs_db", "-r", "-c", "freesp -d", file);
  const ranges = [...text.matchAll(/^ +(\d+) +(\d+) +(\d+)$/gm)]
    .filter(([, group, block, length]) => !(length === "1" && listed.has(`${group} ${block}`)))
    .map(([, group, block, length]) => {
      const start = (Number(group) * groupBlocks + Number(block)) * blockSize;
      return { start, end: start + Number(length) * blockSize };
    });
  return [...joined(ranges.sort((a, b) => a.start - b.start))];
}

/** Copies the image without its free space: it must mount (which recovers a frozen one), hold all, and be in order. */
function assertNothingLost(file: string, ranges: readonly ByteRange[], tree: string): void {
  const copy = copyWithout(file, ranges);
  whileMounted(copy, "rw,nouuid", (root) => assertSameTree(tree, root));
  tool("xfs_repair", "-n", copy);
  rmSync(copy);
}

for (const [name, isMountable, ...args] of KINDS) {
  test(`xfs, ${name}: free is what xfs_db says, and the rest is enough`, (t) => {
    if (!hasTools(t, ...TOOLS)) return;
    const file = makeXfs(...args);
    const { notes, ranges } = freeOf(file);
    assert.match(notes[0]!, /^whole disk, xfs: [\d.]+ MB of [\d.]+ MB free$/);
    assert.deepEqual(ranges, freeByXfsDb(file));
    const copy = copyWithout(file, ranges);
    tool("xfs_repair", "-n", copy);
    if (!isMountable) return;
    if (!asRoot(t)) return;
    const { note, frozen, tree } = writtenByKernel(file);
    assert.match(note, /read whole \(in use when it was copied \(its log is not empty\)\)/);
    for (const one of [file, frozen]) {
      const found = freeOf(one).ranges;
      assert.deepEqual(found, freeByXfsDb(one));
      assert.ok(found.length > 200, `${found.length} ranges`);
      assertNothingLost(one, found, tree);
    }
    rmSync(file);
    rmSync(frozen);
  });
}

test("xfs, version 4: a file that mkfs.xfs put in is in what is read", (t) => {
  if (!hasTools(t, ...TOOLS)) return;
  const tree = sampleTree();
  const names = ["large", "d1/file-100", "d2/file-149"];
  const entries = names.map((name, index) => `f${index} ---644 0 0 ${join(tree, name)}`);
  const script = join(scratchDirectory("maps-proto"), "proto");
  writeFileSync(script, ["boot", "0 0", "d--755 0 0", ...entries, "$", ""].join("\n"));
  const file = makeXfs("-m", "crc=0", "-p", script);
  const copy = readFileSync(copyWithout(file, freeOf(file).ranges));
  for (const [index, name] of names.entries()) {
    const map = tool("xfs_db", "-r", "-c", `path /f${index}`, "-c", "bmap", file);
    const [, first, group, block, count] = /startblock (\d+) \((\d+)\/(\d+)\) count (\d+)/
      .exec(map)!
      .map(Number);
    assert.ok(first! >= block! && group! >= 0);
    const groupBlocks = Number(fields(file, "sb 0", "print agblocks").get("agblocks"));
    const at = (group! * groupBlocks + block!) * 4096;
    const content = readFileSync(join(tree, name));
    assert.ok(
      count! * 4096 >= content.length && content.equals(copy.subarray(at, at + content.length)),
      name,
    );
  }
});

test("a log written round many times: each freeze has a map, a crash has none", (t) => {
  if (!asRoot(t) || !hasTools(t, ...TOOLS, "xfs_io", "fsfreeze")) return;
  // Stripes make it go round after 128 records.
  const file = makeXfs("-m", "rmapbt=0,reflink=0", "-l", "size=4m,su=32k");
  whileMounted(file, "rw", (root) => {
    for (let round = 0; round < 50; round++) {
      for (let index = 0; index < 8; index++) {
        writeFileSync(join(root, `f${(round * 7 + index) % 100}`), Buffer.alloc(index * 3000, round), {
          flush: true,
        });
      }
      if (round % 3 === 0) rmSync(join(root, `f${(round * 7) % 100}`));
      whileFrozen(root, () => {
        const { notes, ranges } = freeOf(file);
        assert.match(notes[0]!, /free$/, `round ${round}`);
        if (round % 10 === 0) assert.deepEqual(ranges, freeByXfsDb(file));
      });
    }
    rmSync(join(root, "f90"));
    tool("xfs_io", "-x", "-c", "shutdown -f", root);
  });
  assert.match(freeOf(file).notes[0]!, /its log is not empty/);
  whileMounted(file, "rw", () => undefined);
  assert.deepEqual(freeOf(file).ranges, freeByXfsDb(file));
});

test("an xfs with its log elsewhere, unfinished, or in want of repair is read whole", (t) => {
  if (!hasTools(t, ...TOOLS)) return;
  const log = emptyImage(64 * MIB);
  assert.match(freeOf(makeXfs("-l", `logdev=${log}`)).notes[0]!, /its log is on another device/);
  const unfinished = makeXfs();
  tool("xfs_db", "-x", "-c", "sb 0", "-c", "write inprogress 1", unfinished);
  assert.match(freeOf(unfinished).notes[0]!, /not finished by mkfs.xfs/);
  const broken = makeXfs();
  tool("xfs_db", "-x", "-c", "sb 0", "-c", "write features_incompat 0x1b", broken);
  assert.match(freeOf(broken).notes[0]!, /wants xfs_repair/);
  const lying = makeXfs();
  tool("xfs_db", "-x", "-c", "agf 1", "-c", "write -d freeblks 1000", lying);
  assert.match(freeOf(lying).notes[0]!, /do not add up/);
});
