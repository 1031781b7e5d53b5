/** Snapshots of image files, on real file systems. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { asRoot } from "../../common/test-needs.js";
import { checkJobSnapshots } from "./check.js";
import { lifeOf, ownSets } from "./context.js";
import { createSnapshots } from "./create.js";
import { SNAPSHOTS } from "./images.js";
import { removeLeftovers, removeSnapshots } from "./remove.js";
import { mountedFileSystem, snapshotSettings, testContext } from "./testing.js";

const job = { uuid: "u-1", id: 7 };

function image(place: string, name: string, text = `old ${name}`): string {
  writeFileSync(join(place, name), text.padEnd(100_000));
  return join(place, name);
}

const start = (file: string): string => readFileSync(file, "utf8").trimEnd();

for (const kind of ["btrfs", "xfs"] as const) {
  test(`${kind}: a job's snapshots keep what was, and go with the job`, async (t) => {
    const directory = mountedFileSystem(t, kind);
    if (directory === undefined) return;
    const names = ["vm_web-disk1.raw", "vm_web-disk2.img"];
    const images = names.map((name) => image(directory, name));
    for (const other of ["vm_web-swap1.raw", "vm_web1-disk1.raw", "vm_web-disk3.raw.bak"])
      image(directory, other);
    const context = testContext([snapshotSettings({ kind, directory })]);
    context.jobs.begin(job.uuid);
    const { disks } = await createSnapshots("web", context, { job, mount: true });
    for (const file of images) writeFileSync(file, "new");
    assert.deepEqual(
      disks.map(({ number, origin, device, writable }) => [number, origin, start(device), writable]),
      names.map((name, index) => [index + 1, name, `old ${name}`, kind === "xfs"]),
    );
    // One snapshot of a subvolume has all images in it at one instant.
    assert.equal(
      context.said.some((line) => line.includes("not simultaneous")),
      kind === "xfs",
    );
    const again = createSnapshots("web", context, { mount: false });
    await assert.rejects(again, /there are snapshots of web already, held by JobId 7, which runs/);
    await assert.rejects(removeSnapshots("web", context, undefined), { code: "SNAPSHOT_IN_USE" });
    await removeSnapshots("web", context, { uuid: "u-2" });
    assert.equal(await removeLeftovers(context), 0);
    await checkJobSnapshots(context, job.uuid);
    assert.equal((await ownSets(context, "web")).length, 1);

    context.jobs.end(job.uuid);
    const [set] = await ownSets(context, undefined);
    // The process that made them lives: as if its file daemon had died before it.
    assert.equal(lifeOf(set!.owner, context), "alive");
    const note = join(directory, SNAPSHOTS, "web", "basalt-set.json");
    writeFileSync(note, readFileSync(note, "utf8").replace(set!.owner.process, "1.1.00000000"));
    assert.equal(await removeLeftovers(context), 0);
    assert.deepEqual(readdirSync(join(directory, SNAPSHOTS)), []);
    assert.equal(context.said.at(-1), `web: ${disks[1]!.device} removed`);
  });

  test(`${kind}: without room nothing is made; what is not ours stays`, async (t) => {
    const directory = mountedFileSystem(t, kind);
    if (directory === undefined) return;
    image(directory, "vm_web-disk1.raw");
    const big = testContext([snapshotSettings({ kind, directory }, { room: { bytes: 1e9 } })]);
    await assert.rejects(createSnapshots("web", big, { mount: false }), {
      code: "SNAPSHOT_NO_ROOM",
      message: /has [\d.]+ MB free, the snapshots of web are to have 1.000 GB: [\d.]+ MB are missing/,
    });
    await assert.rejects(createSnapshots("db", big, { mount: false }), { code: "SNAPSHOT_NO_DISK" });
    image(directory, "vm_twin-disk1.raw");
    image(directory, "vm_twin-disk01.img");
    const twins = testContext([snapshotSettings({ kind, directory })]);
    await assert.rejects(
      createSnapshots("twin", twins, { mount: false }),
      /several disks of twin have the number 1/,
    );
    assert.ok(!existsSync(join(directory, SNAPSHOTS)));

    const context = testContext([snapshotSettings({ kind, directory })]);
    await createSnapshots("web", context, { mount: false });
    assert.equal(await removeLeftovers(context), 0);
    const foreign = join(directory, SNAPSHOTS, "web", "precious");
    writeFileSync(foreign, "");
    await assert.rejects(
      removeSnapshots("web", context, undefined),
      /holds what Basalt did not make: precious/,
    );
    rmSync(foreign);
    await removeSnapshots("web", context, undefined);
    assert.deepEqual(readdirSync(join(directory, SNAPSHOTS)), []);

    chownSync(join(directory, SNAPSHOTS), 12345, 0);
    await assert.rejects(
      createSnapshots("web", context, { mount: false }),
      /is not a directory of this user alone/,
    );
  });
}

test("btrfs: a snapshot of each subvolume that holds an image", async (t) => {
  const directory = mountedFileSystem(t, "btrfs");
  if (directory === undefined) return;
  const subvolume = join(directory, "web");
  execFileSync("btrfs", ["-q", "subvolume", "create", subvolume]);
  mkdirSync(join(subvolume, "fast"));
  image(join(subvolume, "fast"), "vm_web-disk1.raw");
  image(directory, "vm_web-disk2.raw");
  const context = testContext([snapshotSettings({ kind: "btrfs", directory })]);
  const { disks } = await createSnapshots("web", context, { mount: false });
  const place = join(directory, SNAPSHOTS, "web");
  assert.deepEqual(
    disks.map(({ device }) => device),
    [join(place, "snap_web/fast/vm_web-disk1.raw"), join(place, "snap_images/vm_web-disk2.raw")],
  );
  assert.ok(context.said.some((line) => line.includes("disks not simultaneous")));
  await removeSnapshots("web", context, undefined);
  assert.deepEqual(readdirSync(join(directory, SNAPSHOTS)), []);
});

test("a resource that cannot look does not hinder the others", async (t) => {
  const directory = mountedFileSystem(t, "xfs");
  if (directory === undefined) return;
  image(directory, "vm_web-disk1.raw");
  const broken = scratchDirectory("broken");
  mkdirSync(join(broken, SNAPSHOTS), { mode: 0o777 });
  chownSync(join(broken, SNAPSHOTS), 12345, 0);
  const kind = "xfs";
  const context = testContext([
    snapshotSettings({ kind, directory: broken }, { name: "broken", vms: ["db*"] }),
    snapshotSettings({ kind, directory }),
  ]);
  await createSnapshots("web", context, { mount: false });
  assert.match(context.said[0] ?? "", /^Snapshot "broken": .* is not a directory of this user alone/);
  await removeSnapshots("web", context, undefined);
  assert.equal(await removeLeftovers(context), 1);
  await assert.rejects(
    createSnapshots("db1", context, { mount: false }),
    /is not a directory of this user alone/,
  );
});

test("a file system that cannot share blocks says so, and nothing stays", async () => {
  const directory = scratchDirectory("plain");
  image(directory, "vm_web-disk1.raw");
  const probe = scratchDirectory("plain");
  const shares = ((): boolean => {
    try {
      execFileSync("cp", ["--reflink=always", join(directory, "vm_web-disk1.raw"), join(probe, "x")], {
        stdio: "pipe",
      });
      return true;
    } catch {
      return false;
    }
  })();
  const context = testContext([snapshotSettings({ kind: "xfs", directory })]);
  const made = createSnapshots("web", context, { mount: false });
  if (shares) await made;
  else await assert.rejects(made, /cannot share blocks between files/);
  await removeSnapshots("web", context, undefined);
  assert.deepEqual(readdirSync(join(directory, SNAPSHOTS)), []);
});

test("a job whose snapshot is gone at its end, or that has ended before", async (t) => {
  if (!asRoot(t)) return;
  const directory = mountedFileSystem(t, "xfs");
  if (directory === undefined) return;
  image(directory, "vm_web-disk1.raw");
  const context = testContext([snapshotSettings({ kind: "xfs", directory })]);
  await assert.rejects(createSnapshots("web", context, { job, mount: false }), /JobId 7 does not run/);
  context.jobs.begin(job.uuid);
  const { disks } = await createSnapshots("web", context, { job, mount: false });
  rmSync(disks[0]!.device);
  await assert.rejects(checkJobSnapshots(context, job.uuid), {
    code: "SNAPSHOT_INVALID",
    message: "snapshots of web have been removed while the job ran: the backup is no good",
  });
  await removeSnapshots("web", context, job);
  await checkJobSnapshots(context, job.uuid);
  const controller = new AbortController();
  const reason = new Error("enough");
  context.said.push = (line: string) => {
    if (line.includes("snapshot of")) controller.abort(reason);
    return 0;
  };
  await assert.rejects(
    createSnapshots("web", context, { job, mount: false, signal: controller.signal }),
    reason,
  );
  assert.deepEqual(readdirSync(join(directory, SNAPSHOTS)), []);
});
