import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { contentDigest } from "../../common/format/content.js";
import { EntryType, type Row } from "../../common/format/row.js";
import { BlockWriter, decodeBlock } from "../../common/format/row-block.js";
import { ListReader } from "../match/list-reader.js";
import { Tally } from "../match/tally.js";
import type { PackTask } from "../pack/task.js";
import { DEFAULT_OPTIONS } from "../walk/entry-options.js";
import { compileFileSet } from "../walk/file-set.js";
import { Walker } from "../walk/walker.js";
import { Comparer } from "./comparer.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "basalt-comparer-"));
  mkdirSync(join(root, "dir"));
  writeFileSync(join(root, "dir/a"), "content of a");
  writeFileSync(join(root, "dir/b"), "content of b");
  writeFileSync(join(root, "dir/empty"), "");
  symlinkSync("dir/a", join(root, "link"));
});
afterEach(() => rmSync(root, { recursive: true }));

/** Walks the tree; `list` undefined: takes it down. */
async function run(letters: string, list: readonly Row[] | undefined) {
  const lines: string[] = [];
  const tally = new Tally((_type, text) => void lines.push(text));
  const block = {
    ...DEFAULT_OPTIONS,
    ...{ verifyLetters: letters, compression: "none", oneFs: true, acl: false, xattr: false },
  };
  const include = [{ files: ["/"], root, options: [block], excludeDirContaining: [], images: [], lists: [] }];
  const walker = new Walker({
    fileSet: compileFileSet({ name: "x", include, exclude: [], excludeLists: [] }),
    report: tally.report,
  });
  const read: string[] = [];
  const packer = {
    submit: async (task: PackTask) => {
      read.push(task.name);
      const content = contentDigest(Buffer.from(`content of ${task.name}`));
      task.onDone({ kind: "ok", content, parts: false, size: task.row.size, unstable: false, bytesRead: 12 });
    },
    flush: async () => undefined,
  };
  const rows: Row[] = [];
  const states: Row[] = [];
  const take = (into: Row[]) => async (data: Buffer) => void into.push(...decodeBlock(data));
  const comparer = new Comparer({
    ...{ walker, packer, tally, signal: new AbortController().signal },
    list: list === undefined ? undefined : reader(list),
    sendRows: take(rows),
    sendState: take(states),
  });
  await comparer.run();
  return { lines, rows, states, read, totals: tally.totals };
}

function reader(rows: readonly Row[]): ListReader {
  const list = new ListReader(() => undefined);
  const writer = new BlockWriter({ state: true });
  for (const row of rows) writer.add(row);
  list.open();
  list.push(writer.finish());
  list.end();
  return list;
}

/** What a first walk took down, with states. */
async function taken(letters: string): Promise<Row[]> {
  const { rows, states } = await run(letters, undefined);
  return rows.map((row, i) => ({ ...row, state: states[i]!.state }));
}

test("takes down every entry; content only where letters ask for it", async () => {
  const plain = await run("pugsm", undefined);
  assert.deepEqual(
    plain.rows.map(({ key }) => key),
    ["", "dir", "dir\0a", "dir\0b", "dir\0empty", "link"],
  );
  assert.deepEqual(plain.read, []);
  assert.equal(plain.rows[2]!.content?.readUInt32LE(0), 0);
  assert.equal(plain.states.length, 6);
  const full = await run("pugsm5", undefined);
  assert.deepEqual(full.read, ["a", "b"]);
  assert.deepEqual(full.rows[2]!.content, contentDigest(Buffer.from("content of a")));
});

test("an unchanged tree has no difference, a changed one is told entry by entry", async () => {
  const before = await taken("pinugsmc5");
  const same = await run("pinugsmc5", before);
  assert.deepEqual(same.lines, []);
  assert.equal(same.totals.differences, 0);
  assert.equal(same.totals.examined, 6);
  const other = before.map((row) => ({ ...row }));
  other[2]!.content = contentDigest(Buffer.from("older"));
  other[5]!.target = "elsewhere";
  other.splice(3, 1, { ...other[3]!, key: "dir\0aa" });
  const { lines, totals } = await run("pinugsmc5", other);
  assert.equal(totals.differences, 4);
  assert.equal(lines[0], "File: /dir/a");
  assert.match(lines[1]!, /BLAKE3 {3}differs/);
  assert.ok(lines.includes("New file: /dir/b"), lines.join("\n"));
  assert.ok(lines.includes("      the link's target differs"));
  assert.deepEqual(lines.slice(-2), ["The following files are missing:", "      /dir/aa"]);
});

test("letters decide; a list without digests cannot tell content", async () => {
  const before = await taken("pugsm");
  const other = before.map((row) => ({ ...row, mode: row.mode ^ 0o1 }));
  assert.deepEqual((await run("m", other)).lines, []);
  assert.equal((await run("p", other)).totals.differences, 6);
  const digests = await run("5", before);
  assert.deepEqual([digests.lines, digests.read], [[], []]);
});

test("another type is a difference of its own", async () => {
  const before = (await taken("pugsm")).filter(({ key }) => key !== "dir\0a");
  const index = before.findIndex(({ key }) => key === "dir\0b");
  before[index] = { ...before[index]!, type: EntryType.fifo, size: 0, content: undefined };
  const { lines } = await run("pugsm", before);
  assert.deepEqual(lines, [
    "New file: /dir/a",
    "File: /dir/b",
    "      type     differ. Cat: fifo File: file",
  ]);
});
