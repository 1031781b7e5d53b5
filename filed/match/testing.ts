/**
 * For tests only: a storage daemon in memory. It keeps rows and states of runs, streams effective lists, answers
 * claims and can say what the overlay of a run holds, so that a run can be compared with the real tree.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { contentDigest } from "../../common/format/content.js";
import { isBelow } from "../../common/format/path.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { BlockWriter, decodeBlock } from "../../common/format/row-block.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { setClock } from "../../common/time.js";
import type { BackupTotals, JobMessage } from "../../proto/data/backup.js";
import type { FileSet__Output } from "../../proto/generated/basalt/v1/FileSet.js";
import type { OptionsBlock__Output } from "../../proto/generated/basalt/v1/OptionsBlock.js";
import type { PackTask } from "../pack/task.js";
import { DEFAULT_OPTIONS } from "../walk/entry-options.js";
import { compileFileSet } from "../walk/file-set.js";
import { Walker } from "../walk/walker.js";
import type { Packer } from "./content-flow.js";
import type { Likeness } from "./likeness.js";
import { ListReader } from "./list-reader.js";
import { Matcher } from "./matcher.js";
import { Parents } from "./parents.js";
import { Tally } from "./tally.js";

/** A new directory for one test. */
export function scratchTree(): string {
  const directory = scratchDirectory("match");
  mkdirSync(join(directory, "t"));
  return join(directory, "t");
}

export const TEST_OPTIONS: OptionsBlock__Output = {
  ...DEFAULT_OPTIONS,
  compression: "none",
  sparse: true,
  noAtime: true,
};

/** `root` stands for the virtual "/". */
export function treeFileSet(
  root: string,
  options: Partial<OptionsBlock__Output> = {},
  files = ["/"],
): FileSet__Output {
  const include = {
    files,
    root,
    options: [{ ...TEST_OPTIONS, ...options }],
    excludeDirContaining: [],
    images: [],
    lists: [],
  };
  return { name: "test", include: [include], exclude: [], excludeLists: [] };
}

export interface Run {
  /** The rows it wrote. */
  rows: Row[];
  states: Row[];
  /** Its effective list. */
  list: Row[];
  /** Paths whose content was read, in order of reading. */
  read: string[];
  claimed: number;
  totals: BackupTotals;
  messages: { type: JobMessage["type"]; text: string }[];
  /** Of the run that it was compared with. */
  likeness?: Likeness | undefined;
}

export interface RunOptions {
  fileSet: FileSet__Output;
  level?: "Base" | "Full" | "Differential" | "Incremental";
  own?: Run;
  parent?: Run;
  bases?: Run[];
  compared?: Run;
  samplePercent?: number;
  selfContained?: boolean;
  /** What the pool answers; by default that it knows what was stored here. */
  isKnown?: (digest: string) => boolean;
  /** Called before a file is read. */
  beforeRead?: (task: PackTask) => "read" | "vanished" | "failed" | "unstable";
  signal?: AbortSignal;
}

/** One pool. */
export class FakeStorage {
  readonly stored = new Set<string>();

  async run(options: RunOptions): Promise<Run> {
    const { level = "Full", own, parent, bases = [] } = options;
    const ownIsParent = own !== undefined && parent === undefined && level !== "Full" && level !== "Base";
    const result: Run = {
      rows: [],
      states: [],
      list: [],
      read: [],
      claimed: 0,
      totals: undefined as never,
      messages: [],
    };
    const tally = new Tally((type, text) => void result.messages.push({ type, text }));
    const lists = new Parents({
      own: own && reader(withState(own)),
      parent: parent && reader(parent.list),
      bases: bases.map((base) => reader(base.list)),
      compared: options.compared && reader(options.compared.list),
      ownIsParent,
    });
    const walker = new Walker({ fileSet: compileFileSet(options.fileSet), report: tally.report });
    const matcher = new Matcher({
      walker,
      parents: lists,
      ownIsParent,
      listAllXattrs: level === "Full" || level === "Base",
      selfContained: options.selfContained ?? false,
      packer: this.#packer(options, result),
      claim: async (digests) => this.#claim(digests, options, result),
      sendRows: async (block) => void result.rows.push(...decodeBlock(block)),
      sendState: async (block) => void result.states.push(...decodeBlock(block)),
      tally,
      samplePercent: options.samplePercent ?? 0,
      signal: options.signal ?? new AbortController().signal,
    });
    await matcher.run();
    result.totals = tally.totals;
    result.likeness = lists.likeness;
    const below = ownIsParent
      ? [own.list]
      : parent !== undefined
        ? [parent.list]
        : bases.map((base) => base.list);
    result.list = overlay([result.rows, ...below]);
    return result;
  }

  #claim(digests: Buffer, options: RunOptions, result: Run): Buffer {
    const answer = Buffer.alloc(digests.length / 32);
    for (let i = 0; i < answer.length; i++) {
      const digest = digests.toString("hex", i * 32, i * 32 + 32);
      answer[i] = (options.isKnown?.(digest) ?? this.stored.has(digest)) ? 1 : 0;
    }
    result.claimed += answer.length;
    return answer;
  }

  #packer(options: RunOptions, result: Run): Packer {
    let open = 0;
    const waiters: (() => void)[] = [];
    const work = (task: PackTask): void => {
      const path = `/proc/self/fd/${"path" in task.dir ? 0 : task.dir.fd}/${task.name}`;
      const what = options.beforeRead?.(task) ?? "read";
      const none = { parts: false, size: 0, unstable: false, bytesRead: 0 };
      if (what === "vanished") task.onDone({ kind: "vanished", ...none });
      else if (what === "failed") task.onDone({ kind: "failed", ...none, error: "input/output error" });
      else {
        const bytes = readFileSync(Buffer.from(path, "latin1"));
        const content = contentDigest(bytes);
        this.stored.add(content.toString("hex"));
        result.read.push(task.key.replaceAll("\0", "/"));
        const unstable = what === "unstable";
        task.onDone({
          kind: "ok",
          content,
          parts: false,
          size: bytes.length,
          unstable,
          bytesRead: bytes.length,
        });
      }
      open--;
      if (open === 0) for (const wake of waiters.splice(0)) wake();
    };
    return {
      async submit(task) {
        open++;
        if (!("path" in task.dir)) task.dir.retain();
        setImmediate(() => {
          work(task);
          if (!("path" in task.dir)) task.dir.close();
        });
      },
      async flush() {
        if (open > 0) await new Promise<void>((resolve) => waiters.push(resolve));
      },
    };
  }
}

/** The effective list with the states of the same run, as storaged merges them. */
function withState(run: Run): Row[] {
  const states = new Map(run.states.map((row) => [row.key, row.state]));
  return run.list.map((row) => ({ ...row, state: states.get(row.key) }));
}

function reader(rows: readonly Row[]): ListReader {
  const blocks: Buffer[] = [];
  const writer = new BlockWriter({ state: true });
  for (const row of rows) {
    writer.add(row);
    // Small blocks, so that lists end in the middle of things.
    if (writer.rows >= 7) blocks.push(writer.finish());
  }
  if (writer.rows > 0) blocks.push(writer.finish());
  const list: ListReader = new ListReader((count) => {
    setImmediate(() => {
      for (const block of blocks.splice(0, count)) list.push(block);
      if (blocks.length === 0) list.end();
    });
  });
  list.open();
  return list;
}

/** Layers, newest first, laid over each other. */
export function overlay(layers: readonly (readonly Row[])[]): Row[] {
  const found = new Map<string, Row>();
  const hiding: string[] = [];
  for (const layer of layers) {
    const visible = layer.filter(
      (row) => !found.has(row.key) && !hiding.some((top) => isBelow(top, row.key)),
    );
    for (const row of visible) found.set(row.key, row);
    hiding.push(...layer.filter((row) => row.type !== EntryType.directory).map((row) => row.key));
  }
  return [...found.values()]
    .filter((row) => row.type !== EntryType.deleted)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** A row as comparable text; flags other than parts and sparse are shown. */
export function show(row: Row): string {
  const name = `/${row.key.replaceAll("\0", "/")}`;
  const type = Object.entries(EntryType).find(([, value]) => value === row.type)?.[0] ?? "?";
  const marks = (Object.keys(RowFlag) as (keyof typeof RowFlag)[]).filter(
    (flag) => (row.flags & RowFlag[flag]) !== 0 && flag !== "parts" && flag !== "sparse",
  );
  const group = row.group === undefined ? "" : ` =${row.group.replaceAll("\0", "/")}`;
  return `${type} ${name}${group}${marks.map((mark) => ` (${mark})`).join("")}`;
}

/** Everything of a row but the state, for deep comparison. */
export function plain(row: Row): object {
  const { state: _, content, xattrs, ...rest } = row;
  return { ...rest, content: content?.toString("hex"), xattrs: xattrs?.toString("hex") };
}

/** Writes files below `root`, with the directories that they need. */
export function put(root: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, name, ".."), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

/** The same times everywhere, as two installs of one package have them. */
export function settle(root: string): void {
  execFileSync("find", [root, "-exec", "touch", "-h", "-d", "2026-01-02 03:04:05.678", "{}", "+"]);
}

/** The run's effective list is what a first run into an empty pool would say about the tree. */
export async function assertComplete(run: Run, root: string, options = {}): Promise<void> {
  const fresh = await new FakeStorage().run({ fileSet: treeFileSet(root, options) });
  assert.deepEqual(run.list.map(plain), fresh.rows.map(plain));
}

export const rowsOf = (run: Run): string[] => run.rows.map(show);

/** Trees that tests make in the very moment they are walked count as old. Only while a test file runs. */
export function ageTrees(): void {
  setClock(() => Date.now() + 60_000);
}
