import assert from "node:assert/strict";
import { once } from "node:events";
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import { contentDigest } from "../../common/format/content.js";
import { EntryType, type Row, RowFlag } from "../../common/format/row.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { asRoot } from "../../common/test-needs.js";
import { RestoreKind } from "../../proto/data/restore.js";
import { loopDevice } from "../../test/helpers/loop-device.js";
import { closeDevices, DEVICE_TABLE_BYTES } from "./devices.js";
import { end, file, noise, type Outcome, pieces, restoreInto, row, rows } from "./test-messages.js";

const MIB = 1024 * 1024;

interface Loop {
  path: string;
  key: string;
  /** What the device holds. */
  bytes: () => Buffer;
}

/** A loop device full of junk, for this test; undefined when it cannot go on. */
function junkDevice(t: TestContext, size: number): Loop | undefined {
  const backing = join(scratchDirectory("device"), "backing");
  writeFileSync(backing, noise(size, 9));
  const path = loopDevice(t, backing);
  if (path === undefined) return undefined;
  return { path, key: path.slice(1), bytes: () => readFileSync(path) };
}

const image = (key: string, size: number): Row =>
  row(key, EntryType.file, {
    size,
    content: contentDigest(Buffer.from(key)),
    flags: RowFlag.parts | RowFlag.sparse,
    mode: 0o640,
  });

/** In place, as with `where=/`. */
const restore = (messages: Buffer[], more: object = {}): Promise<Outcome> =>
  restoreInto(messages, { where: "/", ...more });

test("an image goes onto the device that is there; zeros are zeros, what lies behind stays", async (t) => {
  const device = junkDevice(t, 8 * MIB);
  if (device === undefined) return;
  const before = statSync(device.path);
  const size = 5 * MIB + 512;
  const [a, b, c] = [noise(64 * 1024, 1), noise(512, 2), noise(MIB, 3)];
  const target = image(device.key, size);
  const messages = Array.from({ length: 20 }, (_, i) =>
    pieces(target, { at: i * 4096 + MIB, bytes: noise(4096, i) }),
  );
  const { totals, errors } = await restore([
    pieces(target, { at: 128 * 1024, bytes: a }, { at: size - 512, bytes: b }),
    ...messages,
    pieces(target, { at: 3 * MIB, bytes: c }),
    rows(RestoreKind.finish, target),
    end({ files: 1 }),
  ]);
  assert.deepEqual(errors, []);
  assert.deepEqual(totals, { files: 1, bytes: size, failed: 0, warnings: 0 });
  const wanted = noise(8 * MIB, 9).fill(0, 0, size);
  a.copy(wanted, 128 * 1024);
  b.copy(wanted, size - 512);
  c.copy(wanted, 3 * MIB);
  for (let i = 0; i < 20; i++) noise(4096, i).copy(wanted, i * 4096 + MIB);
  assert.ok(device.bytes().equals(wanted));
  const after = statSync(device.path);
  assert.equal(after.rdev, before.rdev);
  assert.equal(after.mode, before.mode);
  // It was let go.
  closeSync(openSync(device.path, constants.O_RDWR | constants.O_EXCL));
});

test("an image that fits into one chunk, and one of zeros alone", async (t) => {
  const small = junkDevice(t, 2 * MIB);
  const zero = junkDevice(t, 2 * MIB);
  if (small === undefined || zero === undefined) return;
  const content = noise(MIB / 2, 4);
  const chunk = file(small.key, content);
  const { totals, errors } = await restore([
    pieces(chunk, { at: 0, bytes: content }),
    rows(RestoreKind.finish, image(zero.key, 2 * MIB)),
    end({ files: 2 }),
  ]);
  assert.deepEqual(errors, []);
  assert.equal(totals.files, 2);
  assert.ok(
    small
      .bytes()
      .subarray(0, MIB / 2)
      .equals(content),
  );
  assert.ok(
    small
      .bytes()
      .subarray(MIB / 2)
      .equals(noise(2 * MIB, 9).subarray(MIB / 2)),
  );
  assert.ok(zero.bytes().equals(Buffer.alloc(2 * MIB)));
});

test("a device is left alone: another replace rule, too small, in use, not allowed", async (t) => {
  const device = junkDevice(t, 2 * MIB);
  if (device === undefined) return;
  const whole = (size: number): Buffer[] => [
    pieces(image(device.key, size), { at: 0, bytes: noise(4096, 1) }),
    pieces(image(device.key, size), { at: 4096, bytes: noise(4096, 1) }),
    rows(RestoreKind.finish, image(device.key, size)),
    end({ files: 1 }),
  ];
  const never = await restore(whole(2 * MIB), { replace: "never" });
  assert.equal(never.totals.files, 0);
  assert.match(never.messages[0]!.text, /^File skipped. Already exists: \/dev\/loop/);
  for (const replace of ["ifnewer", "ifolder"]) {
    const { totals, errors } = await restore(whole(2 * MIB), { replace });
    assert.equal(totals.failed, 1);
    assert.match(errors[0]!, /\/dev\/loop\d+: a block device is overwritten with replace=always only/);
  }
  const small = await restore(whole(2 * MIB + 512));
  assert.equal(small.totals.failed, 1);
  // Two threads ask for the device: the one that waited for the other may be the first to tell.
  assert.match(small.errors.join("\n"), /too small: it has 2,097,152 bytes, the image has 2,097,664/);
  const user = openSync(device.path, constants.O_RDONLY | constants.O_EXCL);
  const used = await restore(whole(2 * MIB));
  closeSync(user);
  assert.equal(used.totals.failed, 1);
  assert.match(used.errors.join("\n"), /in use/);
  // Whoever reads this decides whether what was on the device can be kept.
  assert.doesNotMatch(used.errors.join("\n"), /useless/);
  assert.match(used.errors.at(-1)!, /the device was left alone/);
  const outside = await restore(whole(2 * MIB), { restoreRoots: ["/srv"] });
  assert.equal(outside.totals.files, 0);
  assert.ok(device.bytes().equals(noise(2 * MIB, 9)));
});

test("damaged data leaves the device useless and says so", async (t) => {
  const device = junkDevice(t, 2 * MIB);
  if (device === undefined) return;
  const target = image(device.key, 2 * MIB);
  const { totals, errors } = await restore([
    pieces(target, { at: 4096, bytes: noise(4096, 2) }),
    pieces(target, { at: 0, bytes: noise(4096, 1), digest: Buffer.alloc(32, 1) }),
    rows(RestoreKind.finish, target),
    end({ files: 1 }),
  ]);
  assert.equal(totals.failed, 1);
  assert.match(errors.join("\n"), /digest differs(?:.|\n)*what is on the device now is useless/);
});

test("a thread that is ended while it zeroes leaves no descriptor behind", async (t) => {
  const device = junkDevice(t, 2 * MIB);
  if (device === undefined) return;
  const { rdev } = statSync(device.path);
  const devices = new SharedArrayBuffer(DEVICE_TABLE_BYTES);
  // It asks whether it may go on with the zeros, and waits for an answer that never comes.
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    const ask = () => {
      parentPort.postMessage("zeroes");
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    };
    import(workerData.code).then(({ Devices }) => {
      const data = { devices: workerData.devices, get stop() { return ask(); } };
      new Devices(data).write(workerData.device, workerData.row, []);
    });`;
  const workerData = {
    code: new URL("./devices.js", import.meta.url).href,
    devices,
    device: { path: device.path, major: rdev >> 8, minor: rdev & 0xff },
    row: image(device.key, 2 * MIB),
  };
  const thread = new Worker(code, { eval: true, workerData });
  await once(thread, "message");
  await thread.terminate();
  const claim = (): void => closeSync(openSync(device.path, constants.O_RDWR | constants.O_EXCL));
  assert.throws(claim, { code: "EBUSY" });
  await closeDevices(devices);
  claim();
});

test("no file is made among the devices, where it would lie in memory", async (t) => {
  if (!asRoot(t)) return;
  const target = image("dev/basalt-test-group/disk1", 2 * MIB);
  const { totals, errors } = await restore([
    pieces(target, { at: 0, bytes: noise(4096, 1) }),
    rows(RestoreKind.finish, target),
    end({ files: 1 }),
  ]);
  assert.equal(totals.files, 0);
  assert.match(errors[0]!, /\/dev\/basalt-test-group\/disk1: there is no such device/);
  assert.equal(existsSync("/dev/basalt-test-group"), false);
});

test("a link in /dev/shm, where anybody makes them, leads to no device", async (t) => {
  const device = junkDevice(t, 2 * MIB);
  if (device === undefined) return;
  const link = `/dev/shm/basalt-test-${process.pid}`;
  symlinkSync(device.path, link);
  t.after(() => rmSync(link, { force: true }));
  const content = noise(4096, 1);
  const target = file(link.slice(1), content);
  const { errors } = await restore([pieces(target, { at: 0, bytes: content }), end({ files: 1 })]);
  assert.deepEqual(errors, []);
  assert.ok(device.bytes().equals(noise(2 * MIB, 9)));
  assert.ok(lstatSync(link).isFile());
});
