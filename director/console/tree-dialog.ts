/** The file selection dialogue of `restore`: prompt `$ `, commands that may be shortened. */
import { displayPath } from "../../common/format/path.js";
import { withCommas } from "../../common/units.js";
import type { CommandContext } from "./context.js";
import { fnmatch, hasWildcard } from "./fnmatch.js";
import { longLine } from "./format.js";
import { type Arg, findByPrefix, parseLine } from "./grammar.js";
import { resolvePath, splitPath, typedName } from "./names.js";
import { MAX_RULES, type MarkRule, type TreeMarks } from "./tree-marks.js";
import type { TreeNode, TreeView } from "./tree-view.js";

interface Tree {
  context: CommandContext;
  view: TreeView;
  marks: TreeMarks;
  /** latin1 carrier */
  cwd: string;
  end: "done" | "quit" | undefined;
}

interface TreeCommand {
  name: string;
  summary: string;
  run(tree: Tree, words: string[]): Promise<void>;
}

const PATTERN_HELP = "names may hold *, ?, [a-z] and \\ooo for odd bytes";

/** In Bacula's order, which decides what a shortened word means. */
const COMMANDS: readonly TreeCommand[] = [
  { name: "add", summary: "same as mark", run: (tree, words) => mark(tree, words, true) },
  { name: "cd", summary: "change the directory", run: cd },
  { name: "count", summary: "count all and marked files", run: count },
  { name: "delete", summary: "same as unmark", run: (tree, words) => mark(tree, words, false) },
  { name: "dir", summary: "long list of the directory", run: dir },
  { name: "done", summary: "leave the dialogue and restore what is marked", run: end("done") },
  { name: "estimate", summary: "files and bytes that are marked", run: estimate },
  { name: "exit", summary: "same as done", run: end("done") },
  { name: "find", summary: `find files by name; ${PATTERN_HELP}`, run: find },
  { name: "help", summary: "this list", run: help },
  { name: "ls", summary: "list the directory", run: ls },
  { name: "lsmark", summary: "list what is marked here and below", run: lsmark },
  {
    name: "mark",
    summary: `mark files, directories with all below; ${PATTERN_HELP}`,
    run: (tree, words) => mark(tree, words, true),
  },
  {
    name: "markdir",
    summary: "mark the directory entry alone",
    run: (tree, words) => markDirectory(tree, words, true),
  },
  { name: "pwd", summary: "show the directory", run: pwd },
  { name: "unmark", summary: "the reverse of mark", run: (tree, words) => mark(tree, words, false) },
  {
    name: "unmarkdir",
    summary: "the reverse of markdir",
    run: (tree, words) => markDirectory(tree, words, false),
  },
  { name: "quit", summary: "leave without a restore", run: end("quit") },
  { name: "?", summary: "this list", run: help },
];

/** Runs the dialogue; false when the restore is abandoned. Marks are changed in place. */
export async function treeDialog(
  context: CommandContext,
  view: TreeView,
  marks: TreeMarks,
): Promise<boolean> {
  const tree: Tree = { context, view, marks, cwd: "/", end: undefined };
  await context.print(
    "\nYou are now entering file selection mode where you add (mark) and\n" +
      "remove (unmark) files to be restored. No files are initially added, unless\n" +
      'you used the "all" keyword on the command line.\n' +
      'Enter "done" to leave this mode.\n\n',
  );
  await sayCwd(tree);
  while (tree.end === undefined) {
    const text = (await context.askRaw("$ ")).trim();
    if (text === ".") return false;
    const line = parseLine(text);
    const command = findByPrefix(COMMANDS, line.command);
    if (command === undefined) {
      await context.say(`Invalid command "${line.command}".  Enter "done" to exit.`);
      continue;
    }
    await command.run(
      tree,
      line.args.list.map((arg: Arg) => arg.text),
    );
  }
  return tree.end === "done";
}

function end(how: "done" | "quit"): TreeCommand["run"] {
  return async (tree) => {
    tree.end = how;
  };
}

async function help(tree: Tree): Promise<void> {
  await tree.context.say("  Command    Description\n  =======    ===========");
  for (const { name, summary } of COMMANDS) await tree.context.say(`  ${name.padEnd(10)} ${summary}`);
  await tree.context.say("");
}

async function sayCwd(tree: Tree): Promise<void> {
  await tree.context.say(`cwd is: ${tree.cwd === "/" ? "/" : `${displayPath(tree.cwd)}/`}`);
}

function pwd(tree: Tree): Promise<void> {
  return sayCwd(tree);
}

async function cd(tree: Tree, words: string[]): Promise<void> {
  const word = words.join(" ");
  const path = resolvePath(tree.cwd, typedName(word));
  const node = await tree.view.lookup(path);
  if (word === "" || node === undefined) await tree.context.say("Invalid path given.");
  else if (!node.directory) await tree.context.say(`${displayPath(path)} is not a directory.`);
  else tree.cwd = path;
  await sayCwd(tree);
}

/** Entries that a typed pattern names: below the current directory, or by path. Wildcards in any component. */
async function* matches(tree: Tree, typed: string): AsyncGenerator<TreeNode> {
  const pattern = typedName(typed);
  const base = pattern.startsWith("/") ? "/" : tree.cwd;
  const parts = pattern.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length === 0) {
    const node = await tree.view.lookup(base);
    if (node !== undefined) yield node;
    return;
  }
  yield* descend(tree, base, parts);
}

async function* descend(tree: Tree, directory: string, parts: readonly string[]): AsyncGenerator<TreeNode> {
  if (parts.at(-1) === "..") return;
  const wild = parts.findIndex(hasWildcard);
  const plain = wild < 0 ? parts : parts.slice(0, wild);
  const top = await tree.view.lookup(resolvePath(directory, plain.join("/")));
  if (top === undefined) return;
  if (wild < 0) return yield top;
  if (!top.directory) return;
  const rest = parts.slice(wild + 1);
  for await (const node of tree.view.children(top.path)) {
    if (!fnmatch(parts[wild]!, node.name)) continue;
    if (rest.length === 0) yield node;
    else if (node.directory) yield* descend(tree, node.path, rest);
  }
}

function sayMarked(tree: Tree, count: number, verb: string): Promise<void> {
  const text = count === 0 ? "No files" : count === 1 ? "1 file" : `${withCommas(count)} files`;
  return tree.context.say(`${text} ${verb}.`);
}

/** Rules that a mark or unmark of these words makes; undefined when there would be too many. */
async function rulesFor(tree: Tree, words: string[], include: boolean): Promise<MarkRule[] | undefined> {
  const rules: MarkRule[] = [];
  for (const word of words) {
    // Everything in the directory is one rule, however many entries there are.
    if (word === "*") {
      rules.push({ path: tree.cwd, include, recursive: true });
      continue;
    }
    for await (const node of matches(tree, word)) {
      rules.push({ path: node.path, include, recursive: true });
      if (rules.length > MAX_RULES) return undefined;
    }
  }
  return rules;
}

async function mark(tree: Tree, words: string[], include: boolean): Promise<void> {
  const verb = include ? "marked" : "unmarked";
  const rules = await rulesFor(tree, words, include);
  if (rules === undefined || tree.marks.rules.length + rules.length > MAX_RULES) {
    return void (await tree.context.say(
      `More than ${withCommas(MAX_RULES)} names match; mark whole directories instead.`,
    ));
  }
  if (include) {
    // The current directory itself is not among its entries.
    const without = words.includes("*") ? [{ path: tree.cwd, include: false, recursive: false }] : [];
    const covered = rules.length === 0 ? 0 : (await tree.view.count([...rules, ...without])).files;
    tree.marks.apply(rules);
    return await sayMarked(tree, covered, verb);
  }
  if (tree.marks.rules.length === 0 || rules.length === 0) return await sayMarked(tree, 0, verb);
  const before = (await tree.view.count(tree.marks.rules)).files;
  const keep = words.includes("*") && tree.cwd !== "/" && tree.marks.stateOf(tree.cwd) !== "no";
  tree.marks.apply(rules);
  if (keep) tree.marks.apply([{ path: tree.cwd, include: true, recursive: false }]);
  const after = (await tree.view.count(tree.marks.rules)).files;
  await sayMarked(tree, before - after, verb);
}

async function markDirectory(tree: Tree, words: string[], include: boolean): Promise<void> {
  const rules: MarkRule[] = [];
  for (const word of words) {
    for await (const node of matches(tree, word)) {
      if (node.directory) rules.push({ path: node.path, include, recursive: false });
    }
  }
  tree.marks.apply(rules);
  const text =
    rules.length === 0
      ? "No directories"
      : rules.length === 1
        ? "1 directory"
        : `${rules.length} directories`;
  await tree.context.say(`${text} ${include ? "marked" : "unmarked"}.`);
}

function tag(tree: Tree, path: string): string {
  return { marked: "*", parent: "+", no: "" }[tree.marks.stateOf(path)];
}

function nameText(node: TreeNode): string {
  return `${displayPath(node.name)}${node.directory ? "/" : ""}`;
}

/** Nodes for ls and dir: what lies in the directory, or what the patterns match. */
async function* listed(tree: Tree, words: string[]): AsyncGenerator<TreeNode> {
  if (words.length === 0) return yield* tree.view.children(tree.cwd);
  for (const word of words) yield* matches(tree, word);
}

async function ls(tree: Tree, words: string[]): Promise<void> {
  for await (const node of listed(tree, words))
    await tree.context.say(`${tag(tree, node.path)}${nameText(node)}`);
}

async function dir(tree: Tree, words: string[]): Promise<void> {
  for await (const node of listed(tree, words)) {
    const path = `${tag(tree, node.path) || " "}${displayPath(node.path)}${node.directory ? "/" : ""}`;
    const { entry } = node;
    const none = { mode: 0, type: "directory", uid: 0, gid: 0, size: 0, mtimeSec: 0 };
    const target = entry?.type === "symlink" ? ` -> ${displayPath(entry.target.toString("latin1"))}` : "";
    await tree.context.say(longLine({ ...(entry ?? none), links: 1, name: `${path}${target}` }));
  }
}

async function lsmark(tree: Tree): Promise<void> {
  const top = tree.cwd === "/" ? 1 : tree.cwd.length + 1;
  for await (const entry of tree.view.below(tree.cwd, { rules: tree.marks.toWire() })) {
    if (!entry.marked) continue;
    const path = entry.path.toString("latin1");
    if (path.length <= top && path !== "/") continue;
    const depth = path.slice(top).split("/").length - 1;
    const slash = entry.type === "directory" ? "/" : "";
    await tree.context.say(
      `${"   ".repeat(Math.max(0, depth))}${tag(tree, path)}${displayPath(splitPath(path).name)}${slash}`,
    );
  }
}

async function find(tree: Tree, words: string[]): Promise<void> {
  if (words.length === 0) return void (await tree.context.say("No file specification given."));
  const patterns = words.map(typedName);
  for await (const entry of tree.view.below("/")) {
    const path = entry.path.toString("latin1");
    const { name } = splitPath(path);
    if (!patterns.some((pattern) => fnmatch(pattern, pattern.includes("/") ? path : name))) continue;
    const slash = entry.type === "directory" && path !== "/" ? "/" : "";
    await tree.context.say(`${tag(tree, path)}${displayPath(path)}${slash}`);
  }
}

async function count(tree: Tree): Promise<void> {
  const { files, total } = await tree.view.count(tree.marks.rules);
  await tree.context.say(
    `${withCommas(total)} total files/dirs. ${withCommas(files)} marked to be restored.`,
  );
}

async function estimate(tree: Tree): Promise<void> {
  const { files, total, bytes } = await tree.view.count(tree.marks.rules);
  await tree.context.say(
    `${withCommas(total)} total files; ${withCommas(files)} marked to be restored; ${withCommas(bytes)} bytes.`,
  );
}
