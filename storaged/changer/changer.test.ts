/** Autochangers made of files, by the script in conf/: volumes in slots, more of them in use than there are drives. */
import assert from "node:assert/strict";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { BackupError, codeOf } from "../../common/errors.js";
import { packageRoot } from "../../common/package.js";
import type { DeviceResource } from "../device-config.js";
import { FileStore } from "../store/file-store.js";
import { changerWords, readList, readNumber } from "./changer-command.js";
import { ChangerStore } from "./changer-store.js";
import { Drives } from "./drives.js";

const SCRIPT = join(packageRoot(), "conf", "disk-changer");

let dir: string;
let devices: Map<string, DeviceResource>;
let slots: Map<string, number>;
let store: ChangerStore;

function drive(index: number, command = `${SCRIPT} %c %o %S %a %d`): DeviceResource {
  return {
    name: `Drive-${index}`,
    mediaType: "File",
    archiveDevice: join(dir, `drive${index}`),
    labelMedia: true,
    maximumVolumeSize: 0,
    maximumConcurrentJobs: 10,
    enabled: true,
    readOnly: false,
    drive: { changer: "Robot", index, command, changerDevice: join(dir, "conf"), maximumWaitSec: 20 },
  };
}

function use(...list: DeviceResource[]): void {
  devices = new Map(list.map((each) => [each.name, each]));
  const catalog = {
    slot: async (name: string) => slots.get(name) ?? 0,
    volumes: async () => [...slots.keys()],
  };
  store = new ChangerStore({ below: new FileStore(), devices: () => devices, catalog });
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "basalt-changer-"));
  writeFileSync(join(dir, "conf"), "# a small one\nmaxslot=4\nmaxdrive=2\n");
  slots = new Map([1, 2, 3].map((slot) => [`V${slot}`, slot]));
  use(drive(0), drive(1));
});

afterEach(() => rmSync(dir, { recursive: true }));

const path = (volume: string, index = 0): string => join(dir, `drive${index}`, volume);

async function make(volume: string, text: string): Promise<void> {
  const file = await store.create(path(volume));
  await file.append([Buffer.from(text)]);
  await file.sync();
  await file.close();
}

async function read(volume: string, index = 0): Promise<string> {
  const file = await store.open(path(volume, index), "read");
  const bytes = Buffer.alloc(file.size);
  const count = await file.readAt(bytes, 0);
  await file.close();
  return bytes.toString("utf8", 0, count);
}

test("what is written to a volume is in its slot's file, whatever drive it was in", async () => {
  await make("V1", "one");
  await make("V2", "two");
  await make("V3", "three");
  assert.equal(readFileSync(join(dir, "slot2"), "utf8"), "two");
  assert.deepEqual([await read("V1"), await read("V2", 1), await read("V3")], ["one", "two", "three"]);
  assert.equal((await store.stat(path("V3")))?.sizeBytes, 5);
  assert.deepEqual(await store.list(join(dir, "drive1")), ["V1", "V2", "V3"]);
  assert.ok(readlinkSync(join(dir, "drive0")).startsWith(join(dir, "slot")));
});

test("three volumes are written to in two drives at the same time, and nothing is lost", async () => {
  for (const name of ["V1", "V2", "V3"]) await make(name, "");
  const files = await Promise.all(["V1", "V2", "V3"].map((name) => store.open(path(name), "append")));
  for (let round = 0; round < 2; round++)
    await Promise.all(files.map((file, index) => file.append([Buffer.from(`${index}${round} `)])));
  assert.deepEqual(
    files.map((file) => file.size),
    [6, 6, 6],
  );
  for (const file of files) await file.sync();
  for (const file of files) await file.close();
  for (const [index, name] of ["V1", "V2", "V3"].entries())
    assert.equal(await read(name), `${index}0 ${index}1 `);
});

test("a volume in no slot, a slot that is not empty, a blank one", async () => {
  await assert.rejects(store.open(path("Away"), "read"), /"Away" is in no slot/);
  assert.equal(await store.stat(path("Away")), undefined);
  assert.equal(await store.stat(path("V1")), undefined, "blank");
  await make("V1", "label");
  await assert.rejects(store.create(path("V1")), (error) => codeOf(error) === "STORE_EXISTS");
  assert.equal(await store.assigning("New", 4, async () => (await store.create(path("New"))).size), 0);
  await store.unlink(path("V1"));
  assert.equal(readFileSync(join(dir, "slot1"), "utf8"), "");
});

test("what is said is Bacula's; the preferred drive is taken, a loaded volume stays where it is", async () => {
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  assert.equal((await store.load(devices.get("Drive-1")!, "V2", say)).name, "Drive-1");
  assert.equal((await store.load(devices.get("Drive-0")!, "V2", say)).name, "Drive-1");
  assert.deepEqual(said, [
    '3301 Issuing autochanger "loaded? drive 0" command.',
    '3302 Autochanger "loaded? drive 0", result is nothing loaded.',
    '3301 Issuing autochanger "loaded? drive 1" command.',
    '3302 Autochanger "loaded? drive 1", result is nothing loaded.',
    '3304 Issuing autochanger "load slot 2, drive 1" command.',
    '3305 Autochanger "load slot 2, drive 1", status is OK.',
  ]);
});

test("an unmounted drive is left alone; with none left the volume cannot be loaded", async () => {
  const [first, second] = [...devices.values()];
  const drives = store.drivesOf(first!)!;
  await store.load(first!, "V1");
  assert.equal(await drives.unmount(first!, { volume: "" }), true);
  assert.equal(await drives.unmount(first!, { volume: "" }), false);
  assert.throws(() => lstatSync(join(dir, "drive0")), "its link is gone");
  assert.equal((await store.load(first!, "V1")).name, "Drive-1");
  assert.equal(await drives.release(second!, { volume: "" }), true);
  assert.equal(await drives.release(second!, { volume: "" }), false);
  await drives.unmount(second!, { volume: "" });
  await assert.rejects(store.load(first!, "V1"), /all drives of the autochanger are unmounted/);
  await drives.mount(first!, 3, { volume: "V3" });
  assert.deepEqual(drives.stateOf("Drive-0"), { slot: 3, unmounted: false });
});

test("where every drive is unmounted or disabled nobody waits for one", async () => {
  const [first, second] = [...devices.values()];
  devices.set("Drive-1", { ...second!, enabled: false });
  await store.drivesOf(first!)!.unmount(first!, { volume: "" });
  await assert.rejects(store.load(first!, "V1"), /all drives of the autochanger are unmounted or disabled/);
});

test("a volume that is used all the time gives its drive up to one that has waited, and comes back", async () => {
  const drives = new Drives(() => [drive(0)], 50);
  let reads = 0;
  let end = false;
  const busy = async (): Promise<void> => {
    while (!end) {
      await drives.use(1, { volume: "V1" }, () => new Promise((resolve) => setTimeout(resolve, 5)));
      reads++;
    }
  };
  // Two that take turns: there is no moment at which nothing is being done.
  const both = [busy(), new Promise((resolve) => setTimeout(resolve, 2)).then(busy)];
  while (reads < 4) await new Promise(setImmediate);
  assert.equal(await drives.use(2, { volume: "V2" }, async ({ name }) => name), "Drive-0");
  const before = reads;
  while (reads < before + 4) await new Promise(setImmediate);
  end = true;
  await Promise.all(both);
  assert.deepEqual(drives.stateOf("Drive-0"), { slot: 1, unmounted: false });
});

test("a volume whose slot has another one meanwhile is not written, and that one stays whole", async () => {
  use(drive(0));
  await make("V1", "label one ");
  await make("V3", "label three, and more of it");
  const file = await store.open(path("V1"), "append");
  await file.append([Buffer.from("data")]);
  assert.equal(await read("V3"), "label three, and more of it");
  for (const [from, to] of [
    ["slot1", "away"],
    ["slot3", "slot1"],
    ["away", "slot3"],
  ] as const)
    renameSync(join(dir, from), join(dir, to));
  slots.set("V3", 1);
  await assert.rejects(file.append([Buffer.from("more")]), /there is another volume in its slot now/);
  await assert.rejects(file.truncate(0), /there is another volume in its slot now/);
  await file.close();
  assert.equal(readFileSync(join(dir, "slot1"), "utf8"), "label three, and more of it");
});

test("a command that fails, hangs or is missing is told in its words, and the changer is asked again", async () => {
  const failing = join(dir, "failing");
  const script = (text: string) => writeFileSync(failing, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  script('[ "$1" != loaded ] || { echo 0; exit 0; }\necho "the arm is stuck" >&2; exit 3');
  use(drive(0, `${failing} %o`));
  await assert.rejects(store.load(devices.get("Drive-0")!, "V1"), {
    message:
      '3992 Bad autochanger "load slot 1, drive 0" command: ERR=Child exited with code 3. Results=the arm is stuck',
  });
  script("exec sleep 600");
  const slow = drive(0, `${failing} %o`);
  use({ ...slow, drive: { ...slow.drive!, maximumWaitSec: 0.2 } });
  await assert.rejects(store.load(devices.get("Drive-0")!, "V1"), /loaded\? drive 0.*did not end within/);
  use(drive(0, "/nonexistent/changer %o"));
  await assert.rejects(store.load(devices.get("Drive-0")!, "V1"), /no such program/);
});

test("codes of the command, and answers that are none", () => {
  const facts = { device: drive(1), slot: 3, volume: "a b" };
  assert.deepEqual(changerWords("x '%v' %s %S %d %o %% %q", "load", facts), [
    ...["x", "a b", "2", "3", "1", "load", "%", "%q"],
  ]);
  assert.deepEqual([readNumber(["7"]), readNumber([]), readNumber(["7 slots"])], [7, undefined, undefined]);
  assert.deepEqual(readList(["1:A", "nonsense", "0:Z", "2:", "3", "999999:B"]), [
    { slot: 1, barcode: "A" },
    { slot: 2, barcode: "" },
    { slot: 3, barcode: "" },
  ]);
});

test("paths that are in no changer go to the store below", async () => {
  mkdirSync(join(dir, "plain"));
  const file = await store.create(join(dir, "plain", "V1"));
  await file.append([Buffer.from("plain")]);
  await file.close();
  await store.rename(join(dir, "plain", "V1"), join(dir, "plain", "V9"));
  assert.deepEqual(await store.list(join(dir, "plain")), ["V9"]);
  assert.ok(
    !(await store.create(join(dir, "plain", "X")).then(
      (made) => made.close(),
      (error) => error instanceof BackupError,
    )),
  );
});
