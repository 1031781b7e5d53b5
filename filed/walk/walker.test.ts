import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { codeOf } from "../../common/errors.js";
import { EntryType } from "../../common/format/row.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { skipWithout } from "../../common/test-needs.js";
import type { FileSet__Output } from "../../proto/generated/basalt/v1/FileSet.js";
import type { OptionsBlock__Output } from "../../proto/generated/basalt/v1/OptionsBlock.js";
import { TEST_OPTIONS } from "../match/testing.js";
import { WalkEvent } from "./event.js";
import { compileFileSet } from "./file-set.js";
import { Walker } from "./walker.js";

function scratch(files: readonly string[]): string {
  const root = scratchDirectory("walk");
  for (const name of files) {
    mkdirSync(join(root, name, ".."), { recursive: true });
    if (name.endsWith("/")) mkdirSync(join(root, name), { recursive: true });
    else writeFileSync(join(root, name), name);
  }
  return root;
}

function fileSet(
  root: string,
  files: string[],
  options: Partial<OptionsBlock__Output>[] = [{}],
  more: { exclude?: string[]; marks?: string[] } = {},
): FileSet__Output {
  const blocks = options.map((block) => ({ ...TEST_OPTIONS, ...block }));
  const include = {
    files,
    root,
    options: blocks,
    excludeDirContaining: more.marks ?? [],
    images: [],
    lists: [],
  };
  return { name: "test", include: [include], exclude: more.exclude ?? [], excludeLists: [] };
}

/** Events as text: a path; `> path` through; `! path` unread below. */
function walk(set: FileSet__Output, reports: string[] = [], allowedRoots?: string[]): string[] {
  const report = (type: string, text: string): void => void reports.push(`${type}: ${text}`);
  const walker = new Walker({ fileSet: compileFileSet(set), report, allowedRoots });
  const out: string[] = [];
  const path = (key: string): string => `/${key.replaceAll("\0", "/")}`;
  try {
    walker.checkRoots();
    for (;;) {
      const event = walker.next();
      if (event === WalkEvent.done) break;
      if (event === WalkEvent.entry) out.push(path(walker.entry.key));
      else if (event === WalkEvent.through) out.push(`> ${path(walker.key)}`);
      else if (event === WalkEvent.emptyRoot) out.push(`0 ${path(walker.key)}`);
      else out.push(`! ${path(walker.key)}`);
    }
    walker.checkRootsAgain();
  } finally {
    walker.close();
  }
  return out;
}

test("roots are sorted, listed once, and nested ones lie in their place", () => {
  const root = scratch(["a/b/f", "a/c", "z/y/f", "m"]);
  assert.deepEqual(walk(fileSet(root, ["/z/y/", "/a", "/a/b", "/a", "/m"])), [
    "> /",
    "/a",
    "/a/b",
    "/a/b/f",
    "/a/c",
    "/m",
    "> /z",
    "/z/y",
    "/z/y/f",
  ]);
});

test("two Include blocks may put two host trees into one", () => {
  const [one, two] = [scratch(["f"]), scratch(["g"])];
  const set = fileSet(one, ["/"]);
  mkdirSync(join(two, "b"));
  writeFileSync(join(two, "b/h"), "");
  set.include.push({ ...set.include[0]!, files: ["/b"], root: two });
  assert.deepEqual(walk(set), ["/", "/b", "/b/h", "/f"]);
});

test("the first Options block that matches decides; the last one's options apply else", () => {
  const root = scratch(["keep.log", "x.log", "d/x.log", "d.log/f", "e/keep.log"]);
  const blocks = [{ wild: ["*/keep.log"] }, { exclude: true, wildFile: ["*.log"] }, { compression: "none" }];
  assert.deepEqual(walk(fileSet(root, ["/"], blocks)), [
    "/",
    "/d",
    "/d.log",
    "/d.log/f",
    "/e",
    "/e/keep.log",
    "/keep.log",
  ]);
});

test("wild matches the whole path, over slashes; wilddir only directories; regex anywhere", () => {
  const root = scratch(["a/x/f", "ax/f", "b/tmp/f", "b/tmpfile", "c/12/f", "c/ab"]);
  const blocks = [{ exclude: true, wild: ["/a*f"], wildDir: ["*/tmp"], regex: ["^/c/[0-9]+$"] }];
  assert.deepEqual(walk(fileSet(root, ["/"], blocks)), [
    "/",
    "/a",
    "/a/x",
    "/ax",
    "/b",
    "/b/tmpfile",
    "/c",
    "/c/ab",
  ]);
});

test("ignore case, non-ASCII names, and the virtual path is what is matched", () => {
  const root = scratch(["ÄRGER/f", "Tmp/f", "aé", "bxy"]);
  const blocks = [{ exclude: true, ignoreCase: true, wild: ["/ärger", "/tmp", "/a?", "/b?"] }];
  const paths = walk(fileSet(root, ["/"], blocks));
  assert.deepEqual(paths, ["/", "/bxy"]);
});

test("an exclude block without patterns leaves out all that no block before it took", () => {
  const root = scratch(["a.txt", "b.bin"]);
  const blocks = [{ wild: ["/", "*.txt"] }, { exclude: true }];
  assert.deepEqual(walk(fileSet(root, ["/"], blocks)), ["/", "/a.txt"]);
});

test("Exclude takes literal paths and patterns whose wildcards stop at a slash", () => {
  const root = scratch(["a/f.o", "a/b/f.o", "tmp/f", "var/tmp/f"]);
  const exclude = ["/tmp/", "/*/*.o", "tmp"];
  assert.deepEqual(walk(fileSet(root, ["/"], [{}], { exclude })), [
    "/",
    "/a",
    "/a/b",
    "/a/b/f.o",
    "/var",
    "/var/tmp",
    "/var/tmp/f",
  ]);
});

test("a directory that holds a mark is left out with all below it", () => {
  const root = scratch(["a/.nobackup", "a/f", "b/f"]);
  assert.deepEqual(walk(fileSet(root, ["/"], [{}], { marks: [".nobackup"] })), ["/", "/b", "/b/f"]);
});

test("recurse=no saves the entries of a root, and no more", () => {
  const root = scratch(["a/f", "g"]);
  const reports: string[] = [];
  assert.deepEqual(walk(fileSet(root, ["/"], [{ recurse: false }]), reports), ["/", "/a", "/g"]);
  assert.match(reports[0]!, /^skipped: Recursion turned off/);
});

test("onefs stops at another file system, unless it is a root of its own", (t) => {
  const root = scratch(["m/", "f"]);
  try {
    execFileSync("mount", ["-t", "tmpfs", "none", join(root, "m")], { stdio: "ignore" });
  } catch {
    return skipWithout("the right to mount", t);
  }
  try {
    writeFileSync(join(root, "m/inside"), "");
    const reports: string[] = [];
    assert.deepEqual(walk(fileSet(root, ["/"]), reports), ["/", "/f", "/m"]);
    assert.match(
      reports[0]!,
      /^info: {6}\/m is a different filesystem\. Will not descend from \/ into it\.$/,
    );
    assert.deepEqual(walk(fileSet(root, ["/", "/m"])), ["/", "/f", "/m", "/m/inside"]);
    assert.deepEqual(walk(fileSet(root, ["/"], [{ oneFs: false }])), ["/", "/f", "/m", "/m/inside"]);
    const types = { oneFs: false, fsType: ["tmpfs"] };
    assert.deepEqual(walk(fileSet(root, ["/m"], [types])), ["> /", "/m", "/m/inside"]);
    assert.throws(() => walk(fileSet(root, ["/m"], [{ fsType: ["ext4"] }])), { code: "ROOT_UNUSABLE" });
  } finally {
    execFileSync("umount", [join(root, "m")]);
  }
});

test("a root that is a symlink is saved as one; a symlink in its path is refused by name", () => {
  const root = scratch(["real/f"]);
  symlinkSync("real", join(root, "link"));
  const walker = new Walker({ fileSet: compileFileSet(fileSet(root, ["/link"])), report: () => undefined });
  assert.equal(walker.next(), WalkEvent.through);
  assert.equal(walker.next(), WalkEvent.entry);
  assert.equal(walker.entry.stat.type, EntryType.symlink);
  assert.equal(walker.next(), WalkEvent.done);
  walker.close();
  assert.throws(() => walk(fileSet(root, ["/link/f"])), /"link" in its path is no directory/);
});

test("allowed roots hold, also through a symlink in the base", () => {
  const root = scratch(["in/f", "out/f"]);
  const link = join(scratchDirectory("walk"), "link");
  symlinkSync(root, link);
  assert.deepEqual(walk(fileSet(link, ["/in"]), [], [join(root, "in")]), ["> /", "/in", "/in/f"]);
  assert.throws(() => walk(fileSet(root, ["/out"]), [], [join(root, "in")]), { code: "ROOT_UNUSABLE" });
  assert.throws(() => walk(fileSet(root, ["/"]), [], [join(root, "in")]), { code: "ROOT_UNUSABLE" });
});

test("an empty root is told", () => {
  assert.deepEqual(walk(fileSet(scratch([]), ["/"])), ["/", "0 /"]);
});

test("a tree far deeper than PATH_MAX, with few descriptors open", () => {
  const root = scratch([]);
  const name = "d".repeat(100);
  const depth = 300;
  const script = `import os,sys
os.chdir(sys.argv[1])
for i in range(${depth}):
    os.mkdir("${name}"); os.chdir("${name}")
    open("zzz", "w").close()`;
  execFileSync("python3", ["-c", script, root]);
  const walker = new Walker({ fileSet: compileFileSet(fileSet(root, ["/"])), report: assert.fail });
  let files = 0;
  let mostOpen = 0;
  const before = readdirSync("/proc/self/fd").length;
  for (let event = walker.next(); event !== WalkEvent.done; event = walker.next()) {
    if (walker.entry.name === "zzz") files++;
    mostOpen = Math.max(mostOpen, readdirSync("/proc/self/fd").length - before);
  }
  walker.close();
  assert.equal(files, depth);
  assert.ok(mostOpen <= 70, `${mostOpen} open`);
  assert.equal(readdirSync("/proc/self/fd").length, before);
  execFileSync("rm", ["-rf", root]);
});

test("a directory that moves away while the walk is far below it deletes nothing", () => {
  const root = scratch([]);
  const parts = Array.from({ length: 100 }, (_, i) => `p${i}`);
  mkdirSync(join(root, ...parts), { recursive: true });
  for (let i = 1; i <= 100; i++) closeSync(openSync(join(root, ...parts.slice(0, i), "zzz"), "w"));
  const reports: string[] = [];
  const report = (_: string, text: string): void => void reports.push(text);
  const walker = new Walker({ fileSet: compileFileSet(fileSet(root, ["/"])), report });
  const unread: string[] = [];
  for (let event = walker.next(); event !== WalkEvent.done; event = walker.next()) {
    if (walker.entry.name === "p99" && walker.entry.key.endsWith("p99")) {
      // The walk holds only the deepest directories open: these must be found again, and cannot.
      execFileSync("mv", [join(root, "p0/p1/p2"), join(root, "elsewhere")]);
    }
    if (event === WalkEvent.unreadBelow) unread.push(walker.key.replaceAll("\0", "/"));
  }
  walker.close();
  assert.deepEqual(unread, ["p0/p1"].slice(0, unread.length));
  assert.ok(
    reports.every((text) => /moved or removed|vanished/.test(text)),
    reports[0],
  );
  rmSync(root, { recursive: true });
});

test("patterns and paths that cannot be used name the FileSet", () => {
  const refuse = (set: FileSet__Output, text: RegExp): void =>
    assert.throws(
      () => compileFileSet(set),
      (error: Error) => codeOf(error) === "FILESET_INVALID" && text.test(error.message),
    );
  refuse(fileSet("", ["/a"], [{ regex: ["(a"] }]), /FileSet "test": pattern "\(a"/);
  refuse(fileSet("", ["a"]), /File a is not an absolute path/);
  refuse(fileSet("", ["/a/../b"]), /leads upwards/);
  refuse(fileSet("rel", ["/"]), /Root rel/);
  refuse(fileSet("", []), /includes no File/);
  refuse(fileSet("", ["/"], [{ compression: "99" }]), /compression "99"/);
});
