import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { tool } from "../image/maps/testing.js";
import { attachLoop, loopsLabelled } from "../sys/loop.js";
import { mountsWithin } from "./mount-table.js";
import { mountVm } from "./mount-vm.js";
import { machineLabel } from "./mounted-machine.js";
import { disksOf, isAnythingLeft, type Mounted, makeFileSystem, mountPlace, VM } from "./testing.js";
import { unmountVm } from "./unmount-vm.js";

const ROOT = {
  kind: "ext4",
  files: { "etc/fstab": "/dev/vda / ext4\n/dev/vdb /srv xfs", "srv/": "" },
} as const;
const SRV = { kind: "xfs", files: { file: "content" } } as const;

/** Another process that mounts the machine, and then sleeps. */
function mountElsewhere(place: Mounted, disks: unknown): ChildProcess {
  const program = `
    import { mountVm } from ${JSON.stringify(new URL("./mount-vm.js", import.meta.url).href)};
    await mountVm(${JSON.stringify(VM)}, ${JSON.stringify(disks)}, ${JSON.stringify(place.settings)},
      { confirmedFreeze: false, report: () => undefined });
    console.log("mounted");
    setInterval(() => undefined, 1000);
  `;
  return spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

test("what a killed process has mounted, or was about to, is released by its name alone", async (t) => {
  const place = mountPlace(t, {}, "mkfs.xfs");
  if (place === undefined) return;
  const disks = disksOf(makeFileSystem(ROOT), makeFileSystem(SRV));
  for (const waitMs of [undefined, 250, 400, 550, 700]) {
    const child = mountElsewhere(place, disks);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (waitMs === undefined) await new Promise((resolve) => child.stdout!.once("data", resolve));
    else await sleep(waitMs);
    child.kill("SIGKILL");
    await ended;
    if (waitMs === undefined) assert.equal(mountsWithin(place.root).length, 3);
    // A mount program that it had started may still be at work.
    for (let tries = 0; tries < 100; tries++) {
      await place.unmount();
      await sleep(50);
      if (!isAnythingLeft(place.root)) break;
    }
    assert.ok(!isAnythingLeft(place.root));
  }
  await place.mount(disks);
  assert.equal(readFileSync(join(place.root, "srv/file"), "utf8"), "content");
});

test("what is in use is unmounted lazily, with a warning, and goes when it is closed", async (t) => {
  const place = mountPlace(t, { unmountLimitSec: 1 }, "mkfs.xfs");
  if (place === undefined) return;
  await place.mount(disksOf(makeFileSystem(ROOT), makeFileSystem(SRV)));
  const label = machineLabel(place.root);
  const open = openSync(join(place.root, "srv/file"), "r");
  try {
    await place.unmount();
    assert.ok(!existsSync(place.root));
    assert.match(
      place.lines.join("\n"),
      /Warning: web-1: .*\/srv was in use and is unmounted once nobody uses it/,
    );
    assert.match(
      place.lines.at(-1)!,
      /Warning: web-1: \/dev\/loop\d+ is still in use, and so is the disk behind it/,
    );
    assert.equal(loopsLabelled(label).length, 1);
  } finally {
    closeSync(open);
  }
  for (let tries = 0; loopsLabelled(label).length > 0 && tries < 500; tries++) await sleep(20);
  assert.deepEqual(loopsLabelled(label), []);
});

test("mounts that others made below it, and loop devices without a mount, go too", async (t) => {
  const place = mountPlace(t, {}, "mkfs.xfs");
  if (place === undefined) return;
  const [root, srv] = [makeFileSystem(ROOT), makeFileSystem(SRV)];
  await place.mount(disksOf(root, srv));
  tool("mount", "-t", "tmpfs", "none", join(place.root, "srv"));
  const label = machineLabel(place.root);
  attachLoop({ file: srv, offset: 0, size: 0, writable: false, label }).close();
  await place.unmount();
  assert.ok(!isAnythingLeft(place.root));
});

test("one machine's release does not touch another's, and names are no paths", async (t) => {
  const place = mountPlace(t);
  if (place === undefined) return;
  const disk = makeFileSystem({ kind: "ext4", files: { "etc/fstab": "/dev/vda / ext4" } });
  const report = (line: string): void => void place.lines.push(line);
  const tools = { confirmedFreeze: false, report };
  await mountVm("web-10", disksOf(disk), place.settings, tools);
  try {
    await place.unmount();
    assert.equal(mountsWithin(`${place.root}0`).length, 2);
  } finally {
    await unmountVm("web-10", place.settings, tools);
  }
  for (const name of ["..", ".", "", "a/b", "/etc", "a b", "x".repeat(300), "a\n"]) {
    await assert.rejects(
      mountVm(name, disksOf(disk), place.settings, tools),
      /is no name of a virtual machine/,
    );
    await assert.rejects(unmountVm(name, place.settings, tools), /is no name of a virtual machine/);
  }
});

test("a directory that others may enter, or that is not empty, is refused", async (t) => {
  const place = mountPlace(t);
  if (place === undefined) return;
  const disk = makeFileSystem({ kind: "ext4", files: { "etc/fstab": "/dev/vda / ext4" } });
  mkdirSync(dirname(place.root), { mode: 0o755 });
  await assert.rejects(place.mount(disksOf(disk)), /may be entered by others; chmod 700/);
  tool("chmod", "700", dirname(place.root));
  mkdirSync(place.root);
  writeFileSync(join(place.root, "kept"), "");
  await assert.rejects(place.mount(disksOf(disk)), /is not empty/);
  tool("rm", join(place.root, "kept"));
});

test("an interrupted mount, missing disks and disks of nothing leave nothing", async (t) => {
  const place = mountPlace(t);
  if (place === undefined) return;
  const disk = makeFileSystem({ kind: "ext4", files: { "etc/fstab": "/dev/vda / ext4" } });
  const signal = AbortSignal.abort();
  await assert.rejects(place.mount(disksOf(disk), { signal }), { code: "INTERRUPTED" });
  await assert.rejects(place.mount([]), /no disk was given/);
  await assert.rejects(place.mount(disksOf("/nonexistent")), /cannot open disk 1: .*no such file/);
  await assert.rejects(place.mount(disksOf("/dev/null")), /neither a block device nor a file/);
  await assert.rejects(place.mount(disksOf("/")), /neither a block device nor a file|is a directory/);
  assert.ok(!isAnythingLeft(place.root) && !existsSync(place.root));
});
