import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EntryType } from "../../common/format/row.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { asRoot } from "../../common/test-needs.js";
import { loopDevice } from "../../test/helpers/loop-device.js";
import { TEST_OPTIONS } from "../match/testing.js";
import { WalkEvent } from "../walk/event.js";
import { compileFileSet } from "../walk/file-set.js";
import { Walker } from "../walk/walker.js";

/** Entries that the walk of these images meets, and its warnings. */
function walk(
  images: string[],
  more: { files?: string[]; root?: string; allowed?: string[]; wild?: string[] } = {},
) {
  const warnings: string[] = [];
  const excluding = { ...TEST_OPTIONS, wild: more.wild ?? [], exclude: true };
  const options = more.wild === undefined ? [TEST_OPTIONS] : [excluding, TEST_OPTIONS];
  const include = {
    files: more.files ?? [],
    images,
    lists: [],
    root: more.root ?? "",
    options,
    excludeDirContaining: [],
  };
  const walker = new Walker({
    fileSet: compileFileSet({ name: "test", include: [include], exclude: [], excludeLists: [] }),
    allowedRoots: more.allowed,
    report: (type, text) => void (type === "warning" && warnings.push(text)),
  });
  const found: { path: string; size: number; image: boolean; device: boolean }[] = [];
  try {
    walker.checkRoots();
    for (let event = walker.next(); event !== WalkEvent.done; event = walker.next()) {
      if (event !== WalkEvent.entry) continue;
      const { key, stat, image } = walker.entry;
      const isFile = stat.type === EntryType.file;
      const path = `/${key.replaceAll("\0", "/")}`;
      found.push({
        path,
        size: isFile ? stat.size : 0,
        image: image !== undefined,
        device: image?.isDevice ?? false,
      });
    }
    walker.checkRootsAgain();
  } finally {
    walker.close();
  }
  return { found, paths: found.filter(({ image }) => image).map(({ path }) => path), warnings };
}

function images(names: readonly string[]): string {
  const top = realpathSync(scratchDirectory("images"));
  for (const name of names) {
    mkdirSync(join(top, name, ".."), { recursive: true });
    writeFileSync(join(top, name), name);
  }
  return top;
}

test("wildcards in any component, in path order, hidden names only when asked for", () => {
  const top = images(["b/disk2", "b/disk1.raw", "b/.disk3", "b-c/disk1", "b/other", "a"]);
  assert.deepEqual(walk([`${top}/b*/disk*`]).paths, [
    `${top}/b/disk1.raw`,
    `${top}/b/disk2`,
    `${top}/b-c/disk1`,
  ]);
  assert.deepEqual(walk([`${top}/?/.d*`, `${top}/b/disk[2-9]`, `${top}/b/disk2`]).paths, [
    `${top}/b/.disk3`,
    `${top}/b/disk2`,
  ]);
});

test("a pattern without a match warns; none at all, or a name that does not exist, fails the job", () => {
  const top = images(["disk1"]);
  mkdirSync(join(top, "disk-directory"));
  const { paths, warnings } = walk([`${top}/none*`, `${top}/disk*`]);
  assert.deepEqual(paths, [`${top}/disk1`]);
  assert.equal(warnings.length, 2);
  assert.match(warnings[0]!, /"\/.*\/none\*" matches no device or file/);
  assert.match(warnings[1]!, /disk-directory cannot be backed up as an image: it is neither/);
  assert.throws(() => walk([`${top}/none*`, `/no/such/*`]), {
    code: "ROOT_UNUSABLE",
    message: /no Image .*snapshots/,
  });
  assert.throws(() => walk([`${top}/disk1`, `${top}/disk2`]), {
    code: "ROOT_UNUSABLE",
    message: /does not exist/,
  });
  assert.throws(() => walk(["relative"]), { code: "FILESET_INVALID" });
  assert.throws(() => walk([`${top}/../x`]), { code: "FILESET_INVALID" });
});

test("what cannot be told to be there or not fails the job: it would count as deleted", () => {
  const top = images(["a/disk"]);
  symlinkSync("loop", join(top, "loop"));
  symlinkSync("nothing", join(top, "a/dangling"));
  assert.deepEqual(walk([`${top}/a/*`]).paths, [`${top}/a/disk`]);
  // As with an error of input or output: a link that leads round in a circle.
  for (const unclear of [`${top}/l*`, `${top}/*/disk`])
    assert.throws(
      () => walk([`${top}/a/disk`, unclear]),
      { code: "ROOT_UNUSABLE", message: /ELOOP/ },
      unclear,
    );
});

test("images stand beside files, outside of Root, and win over a file of the same name", () => {
  const top = images(["snap/etc/passwd", "snap/srv/disk", "images/disk"]);
  const beside = walk([`${top}/images/*`], { files: ["/etc"], root: join(top, "snap") });
  assert.deepEqual(
    beside.found.map(({ path, image }) => `${path} ${image}`),
    ["/etc false", "/etc/passwd false", `${top}/images/disk true`],
  );
  const within = walk([`${top}/snap/srv/*`], { files: [`${top}/snap`] });
  assert.deepEqual(within.paths, [`${top}/snap/srv/disk`]);
  assert.equal(within.found.length, 5);
  // A path that is a file below the Root cannot hold one that is an image on the host.
  const first = join(top, "snap", top.split("/")[1]!);
  rmSync(first, { recursive: true, force: true });
  writeFileSync(first, "");
  const inside = walk.bind(undefined, [`${top}/images/*`], { files: ["/"], root: join(top, "snap") });
  assert.throws(inside, /is no directory there/);
});

test("Options decide about images too", () => {
  const top = images(["disk1", "disk2-swap"]);
  assert.deepEqual(walk([`${top}/*`], { wild: ["*-swap"] }).paths, [`${top}/disk1`]);
});

test("links are followed, but not out of AllowedRoots", () => {
  const top = images(["allowed/disk", "elsewhere/secret"]);
  symlinkSync(join(top, "elsewhere/secret"), join(top, "allowed/link"));
  symlinkSync("disk", join(top, "allowed/inside"));
  const all = walk([`${top}/allowed/*`]);
  assert.deepEqual(
    all.found.map(({ path, size }) => `${path.slice(top.length)} ${size}`),
    ["/allowed/disk 12", "/allowed/inside 12", "/allowed/link 16"],
  );
  const allowed = [join(top, "allowed")];
  assert.deepEqual(walk([`${top}/allowed/[di]*`], { allowed }).paths.length, 2);
  assert.throws(() => walk([`${top}/allowed/*`], { allowed }), {
    code: "ROOT_UNUSABLE",
    message: /AllowedRoots/,
  });
});

test("a device has its own length, through a link too", (t) => {
  const top = images(["backing"]);
  truncateSync(join(top, "backing"), 3 << 20);
  const loop = loopDevice(t, join(top, "backing"));
  if (loop === undefined) return;
  symlinkSync(loop, join(top, "link"));
  const { found } = walk([loop, `${top}/l*`]);
  assert.deepEqual(found, [
    { path: loop, size: 3 << 20, image: true, device: true },
    { path: `${top}/link`, size: 3 << 20, image: true, device: true },
  ]);
  assert.throws(() => walk([`${top}/link`], { allowed: [top] }), /AllowedRoots/);
  assert.equal(walk([loop], { allowed: ["/dev"] }).paths.length, 1);
});

test("a link among the devices is as good as its target's place, one in /dev/shm is not", (t) => {
  const backing = join(images(["backing"]), "backing");
  truncateSync(backing, 1 << 20);
  const loop = loopDevice(t, backing);
  if (loop === undefined) return;
  const linkIn = (directory: string): string => {
    const made = mkdtempSync(join(directory, "basalt-test-"));
    t.after(() => rmSync(made, { recursive: true }));
    symlinkSync(loop, join(made, "volume"));
    return made;
  };
  const group = linkIn("/dev");
  assert.deepEqual(walk([`${group}/v*`], { allowed: [group] }).paths, [`${group}/volume`]);
  assert.throws(() => walk([`${group}/volume`], { allowed: ["/dev/other"] }), /AllowedRoots/);
  const shared = linkIn("/dev/shm");
  assert.throws(() => walk([`${shared}/volume`], { allowed: [shared] }), /AllowedRoots/);
  // Not even where it leads to another link.
  symlinkSync(`${group}/volume`, join(shared, "again"));
  assert.throws(() => walk([`${shared}/again`], { allowed: [shared] }), /AllowedRoots/);
});

test("a device without anything behind it is warned of when a wildcard found it, and an error by its name", (t) => {
  if (!asRoot(t)) return;
  const top = images(["disk-1"]);
  // No driver has this number (Documentation/admin-guide/devices.txt: for local use).
  execFileSync("mknod", [join(top, "disk-2"), "b", "240", "255"]);
  const { paths, warnings } = walk([`${top}/disk-*`]);
  assert.deepEqual(paths, [`${top}/disk-1`]);
  assert.match(warnings.join(), /disk-2 cannot be backed up as an image: no such device/);
  assert.throws(() => walk([`${top}/disk-2`]), { code: "ROOT_UNUSABLE" });
});
