import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { codeOf } from "../../common/errors.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { encodeNamesHeader } from "../../proto/data/names.js";
import type { FileList } from "../../proto/generated/basalt/v1/FileList.js";
import type { DataStream } from "../../proto/rpc.js";
import type { FiledConfig } from "../config.js";
import { treeFileSet } from "../match/testing.js";
import { WalkEvent } from "../walk/event.js";
import { compileFileSet } from "../walk/file-set.js";
import { Walker } from "../walk/walker.js";
import { NamesInbox } from "./inbox.js";
import { NameLines } from "./name-lines.js";
import { openLists, withExcludeLists } from "./open-lists.js";

/** A machine's tree, and filed's working directory. */
function machine(files: readonly string[]) {
  const root = scratchDirectory("lists");
  for (const name of files) {
    mkdirSync(join(root, name, ".."), { recursive: true });
    writeFileSync(join(root, name), name);
  }
  const work = scratchDirectory("lists-work");
  const inbox = new NamesInbox(work);
  const config = { hookDirectories: [], hookTimeoutSec: 30 } as unknown as FiledConfig;
  return { root, work, inbox, config };
}

type Machine = ReturnType<typeof machine>;

async function send({ inbox }: Machine, key: string, number: number, ...parts: string[]): Promise<void> {
  const messages = [encodeNamesHeader({ key, number }), ...parts.map((part) => Buffer.from(part, "latin1"))];
  const stream = {
    incoming: (async function* () {
      yield* messages;
    })(),
    send: async () => undefined,
  };
  await inbox.receive(stream as unknown as DataStream);
}

interface Walked {
  paths: string[];
  messages: string[];
}

/** What a walk of the lists meets; paths below the machine's root. */
async function walk(
  at: Machine,
  lists: FileList[],
  more: { strip?: number; files?: string[]; allowed?: string[]; config?: Partial<FiledConfig> } = {},
): Promise<Walked> {
  const fileSet = treeFileSet("/", { stripPath: more.strip ?? 0 }, more.files ?? []);
  fileSet.include[0]!.root = "";
  fileSet.include[0]!.lists = lists.map(
    (list) => ({ kind: "sent", source: "LIST", number: 0, ...list }) as never,
  );
  const messages: string[] = [];
  const report = (type: string, text: string): void =>
    void messages.push(`${type}: ${text.replaceAll(at.root, "")}`);
  const config = { ...at.config, allowedRoots: more.allowed, ...more.config } as FiledConfig;
  const compiled = compileFileSet(fileSet);
  const { signal } = new AbortController();
  const open = await openLists(compiled, { inbox: at.inbox, key: "aa", config, report, signal });
  const walker = new Walker({ fileSet: compiled, listed: open.roots, allowedRoots: more.allowed, report });
  const paths: string[] = [];
  try {
    walker.checkRoots();
    for (;;) {
      const event = walker.next();
      if (event === WalkEvent.done) break;
      const path = `/${walker.entry.key.replaceAll("\0", "/")}`;
      if (event === WalkEvent.entry) paths.push(path.startsWith(at.root) ? path.slice(at.root.length) : path);
    }
    walker.checkRootsAgain();
  } finally {
    walker.close();
    open.close();
  }
  return { paths, messages };
}

test("lines are cut anywhere; blanks around them, comments and empty ones do not count", () => {
  const names: string[] = [];
  let long = 0;
  const lines = new NameLines(
    (name) => names.push(name),
    () => long++,
  );
  for (const part of [
    "/a",
    "b\n\n# no\r\n",
    "  /c d \t\r\n/\xff\n",
    "x".repeat(100_000),
    "y".repeat(100_000),
    "\n/last",
  ])
    lines.push(Buffer.from(part, "latin1"));
  lines.end();
  assert.deepEqual(names, ["/ab", "/c d", "/\xff", "/last"]);
  assert.equal(long, 1);
});

test("many lines of blanks with a name around them take no time to speak of", { timeout: 60_000 }, () => {
  let names = 0;
  const lines = new NameLines(
    () => names++,
    () => undefined,
  );
  const line = Buffer.from(`/a${" ".repeat(120_000)}b \t\n`);
  for (let i = 0; i < 100; i++) lines.push(line);
  assert.equal(names, 100);
});

test("names come sorted, once, with what lies below them, whatever order they were sent in", async () => {
  const at = machine(["b/deep/x", "b/deep/y", "b/other", "a", "c/one", "c/two"]);
  const list = ["/c/two", "/a", "/b/deep", "/b/deep/x", "/a", "/c/two/"]
    .map((name) => at.root + name)
    .join("\n");
  await send(at, "aa", 0, list.slice(0, 50), list.slice(50));
  const { paths, messages } = await walk(at, [{ number: 0 }]);
  assert.deepEqual(paths, ["/a", "/b/deep", "/b/deep/x", "/b/deep/y", "/c/two"]);
  assert.deepEqual(messages, []);
});

test("what is not there or no name is told, and everything else saved", async () => {
  const at = machine(["a", "file"]);
  await send(
    at,
    "aa",
    0,
    `${at.root}/nowhere/x\nrelative\n${at.root}/../up\n${at.root}/file/below\n${at.root}/a\n${at.root}/file\n`,
  );
  const { paths, messages } = await walk(at, [{ number: 0 }]);
  assert.deepEqual(paths, ["/a", "/file"]);
  assert.deepEqual(
    messages,
    [
      'notsaved: "relative" of the list LIST is not an absolute path',
      'notsaved: "/../up" of the list LIST leads upwards by ".."',
      'notsaved: Could not stat "/file/below": ERR=not a directory',
      'notsaved: Could not stat "/nowhere/x": ERR=no such file or directory',
    ].map((text) => text),
  );
});

test("a configured File stands beside a list, and may hold what the list names", async () => {
  const at = machine(["b/x", "b/y", "z"]);
  await send(at, "aa", 0, `${at.root}/b/x\n${at.root}/z`);
  const { paths } = await walk(at, [{ number: 0 }], { files: [`${at.root}/b`] });
  assert.deepEqual(paths, ["/b", "/b/x", "/b/y", "/z"]);
});

test("StripPath shortens stored names; two files of one name are not both saved", async () => {
  const at = machine(["one/same/f", "two/same/g", "two/other"]);
  const depth = at.root.split("/").length;
  const names = ["/one/same", "/two/same", "/two/other"].map((name) => at.root + name);
  await send(at, "aa", 0, names.join("\n"));
  const { paths, messages } = await walk(at, [{ number: 0 }], { strip: depth });
  assert.deepEqual(paths, ["/other", "/same", "/same/f"]);
  assert.deepEqual(messages, [
    'notsaved: "/two/same" is not saved: another file is stored by the same name (StripPath)',
  ]);
  const whole = await walk(at, [], { strip: depth, files: [at.root] });
  assert.equal(whole.paths.length, 8);
  assert.match(whole.messages[0]!, /^warning: File .* is stored by its whole name/);
});

test("a list on the client is read where AllowedRoots holds it, and nothing but a regular file", async () => {
  const at = machine(["a", "lists/l"]);
  writeFileSync(join(at.root, "lists/l"), `${at.root}/a\n`);
  const list = (name: string) => ({ kind: "file", source: join(at.root, name) });
  assert.deepEqual((await walk(at, [list("lists/l")])).paths, ["/a"]);
  assert.deepEqual((await walk(at, [list("lists/l")], { allowed: [at.root] })).paths, ["/a"]);
  const refused = walk(at, [list("lists/l")], { allowed: [join(at.root, "elsewhere")] });
  await assert.rejects(refused, /Cannot open included file: .*AllowedRoots/);
  await assert.rejects(walk(at, [list("lists")]), /it is no regular file/);
  symlinkSync("/dev/zero", join(at.root, "endless"));
  await assert.rejects(walk(at, [list("endless")]), /it is no regular file/);
  await assert.rejects(walk(at, [list("none")]), (error) => codeOf(error) === "FILESET_LIST");
});

test("AllowedRoots hold for what a list names", async () => {
  const at = machine(["yes/a", "no/b"]);
  await send(at, "aa", 0, `${at.root}/yes/a\n${at.root}/no/b`);
  const { paths, messages } = await walk(at, [{ number: 0 }], { allowed: [join(at.root, "yes")] });
  assert.deepEqual(paths, ["/yes/a"]);
  assert.match(messages[0]!, /^notsaved: Could not stat "\/no\/b": .*AllowedRoots/);
});

test("a command on the client is run inside of HookDirectories only, and its failure fails the job", async () => {
  const at = machine(["a", "b"]);
  const hooks = scratchDirectory("lists-hooks");
  const script = (name: string, text: string): void => {
    writeFileSync(join(hooks, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(hooks, name), 0o755);
  };
  script("make", 'for name; do echo "$name"; done; echo to-the-report >&2');
  script("fail", `echo ${at.root}/a; exit 3`);
  const command = (source: string) => ({ kind: "command", source });
  const config = { hookDirectories: [hooks] };
  const { paths, messages } = await walk(at, [command(`make ${at.root}/b '${at.root}/a'`)], { config });
  assert.deepEqual(paths, ["/a", "/b"]);
  assert.deepEqual(messages, ["info: make: to-the-report"]);
  await assert.rejects(walk(at, [command("fail")], { config }), /Error running program: fail. stat=3/);
  await assert.rejects(walk(at, [command("make /x")]), (error) => codeOf(error) === "HOOK_FORBIDDEN");
  await assert.rejects(walk(at, [command("/bin/sh -c true")], { config }), /HookDirectories/);
});

test("Exclude lists of the client become patterns", async () => {
  const at = machine(["list"]);
  writeFileSync(join(at.root, "list"), "# these\n/a/*.o\n/ä\n");
  const excludeLists = [{ kind: "file", source: join(at.root, "list"), number: 0 }];
  const fileSet = { ...treeFileSet("/"), exclude: ["/x"], excludeLists };
  const options = { config: at.config, report: () => undefined, signal: new AbortController().signal };
  assert.deepEqual((await withExcludeLists(fileSet, options)).exclude, ["/x", "/a/*.o", "/ä"]);
});

test("lists are private, once only, and gone with their job or the daemon's start", async () => {
  const at = machine([]);
  await send(at, "aa", 0, "/a");
  await send(at, "ab", 1, "/b");
  await assert.rejects(send(at, "aa", 0, "/other"), /is here already/);
  await assert.rejects(send(at, "../x", 0, "/other"), /garbled/);
  await assert.rejects(send(at, "aa", 1e9, "/other"), /garbled/);
  assert.throws(() => at.inbox.read("aa", 7), /was not sent/);
  at.inbox.remove("aa");
  assert.deepEqual(readdirSync(at.inbox.directory), ["ab.1"]);
  assert.equal(existsSync(new NamesInbox(at.work).directory), true);
  assert.deepEqual(readdirSync(at.inbox.directory), []);
});
