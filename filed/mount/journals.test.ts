/** Disks of a machine that runs: what a snapshot of them holds is partly in the journal alone. */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { asRoot } from "../../common/test-needs.js";
import { emptyImage, hasTools, MIB, tool } from "../image/maps/testing.js";
import { disksOf, type Filling, makeFileSystem, mountPlace } from "./testing.js";
import type { Disk } from "./volumes.js";

/** One process writes without an end, the other takes the copy at the moment when a new file is on the disk. */
const BUSY = `
import fcntl, os, signal, sys
guest, disk, copy = sys.argv[1:]
FICLONE = 0x40049409
def write(name, data):
    with open(name, "wb") as f: f.write(data); f.flush(); os.fsync(f.fileno())
os.chdir(guest)
for n in range(50): write("busy-%d" % n, os.urandom(30000))
writer = os.fork()
if writer == 0:
    n = 0
    while True:
        write("busy-%d" % (n % 50), os.urandom(30000)); n += 1
try:
    with open(disk, "rb") as source, open(copy, "wb") as target:
        os.mkdir("new")
        write("new/last", b"safe")
        for d in ("new", "."):
            fd = os.open(d, os.O_RDONLY); os.fsync(fd); os.close(fd)
        fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
finally:
    os.kill(writer, signal.SIGKILL); os.waitpid(writer, 0)
`;

/** Copy of a disk with this file system, taken while its machine writes; undefined: cannot be tested here. */
function runningSnapshot(t: TestContext, filling: Filling, take = "busy"): string | undefined {
  if (!asRoot(t) || !hasTools(t, "mkfs.btrfs", "mke2fs", "mkfs.xfs", "python3")) return undefined;
  // Of files on btrfs there are copies of one instant.
  const host = emptyImage(800 * MIB);
  tool("mkfs.btrfs", "-q", host);
  const store = scratchDirectory("mount-store");
  const guest = scratchDirectory("mount-guest");
  const mounted: string[] = [];
  const disk = join(store, "disk");
  try {
    tool("mount", "-o", "loop", host, store);
    mounted.push(store);
    copyFileSync(makeFileSystem(filling), disk);
    tool("mount", "-o", "loop", disk, guest);
    mounted.push(guest);
    const copy = join(store, "snapshot");
    if (take === "busy") tool("python3", "-c", BUSY, guest, disk, copy);
    else {
      mkdirSync(join(guest, "new"));
      writeFileSync(join(guest, "new/last"), "safe");
      tool("fsfreeze", "-f", guest);
      try {
        tool("cp", "--reflink=always", disk, copy);
      } finally {
        tool("fsfreeze", "-u", guest);
      }
    }
    const snapshot = join(scratchDirectory("mount-snapshot"), "disk");
    tool("cp", "--sparse=always", copy, snapshot);
    return snapshot;
  } finally {
    for (const directory of mounted.reverse()) tool("umount", directory);
  }
}

const READ_ONLY = (file: string): Disk[] => disksOf(file).map((disk) => ({ ...disk, writable: false }));

for (const kind of ["ext4", "ext3", "xfs", "btrfs"] as const) {
  test(`${kind} of a running machine: its journal is replayed, or skipped where that is asked for`, async (t) => {
    const place = mountPlace(t);
    if (place === undefined) return;
    const snapshot = runningSnapshot(t, { kind, files: { "etc/fstab": "/dev/vda / auto" } });
    if (snapshot === undefined) return;
    const before = tool("sha256sum", snapshot);
    const last = join(place.root, "new/last");

    await place.mount(READ_ONLY(snapshot), { journal: "skip" });
    assert.ok(!existsSync(last), "it is in the journal alone");
    assert.match(place.lines.join("\n"), /its journal is not replayed/);
    await place.unmount();

    await assert.rejects(
      place.mount(READ_ONLY(snapshot)),
      /journal holds changes.*writable|freeze the machine/,
    );
    const lying = place.mount(READ_ONLY(snapshot), { confirmedFreeze: true });
    await assert.rejects(lying, /journal holds changes/);
    assert.equal(tool("sha256sum", snapshot), before);

    const copy = `${snapshot}-2`;
    copyFileSync(snapshot, copy);
    await place.mount(disksOf(copy), { confirmedFreeze: true });
    assert.equal(readFileSync(last, "utf8"), "safe");
    assert.match(place.lines.at(-1)!, /its journal is replayed \(Warning: .* the freeze has not held it/);
    await place.unmount();

    await place.mount(disksOf(snapshot));
    assert.equal(readFileSync(last, "utf8"), "safe");
    assert.match(place.lines.at(-1)!, /its journal is replayed$/);
    await place.unmount();
  });
}

for (const kind of ["ext4", "xfs", "btrfs"] as const) {
  test(`${kind} of a frozen machine is mounted without a write`, async (t) => {
    const place = mountPlace(t, {}, "fsfreeze");
    if (place === undefined) return;
    const snapshot = runningSnapshot(t, { kind, files: { "etc/fstab": "/dev/vda / auto" } }, "frozen");
    if (snapshot === undefined) return;
    const before = tool("sha256sum", snapshot);
    for (const disks of [READ_ONLY(snapshot), disksOf(snapshot)]) {
      for (const confirmedFreeze of [true, false]) {
        await place.mount(disks, { confirmedFreeze });
        assert.equal(readFileSync(join(place.root, "new/last"), "utf8"), "safe");
        await place.unmount();
      }
    }
    assert.equal(tool("sha256sum", snapshot), before);
    assert.doesNotMatch(place.lines.join("\n"), /journal/);
  });
}
