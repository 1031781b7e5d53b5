import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../common/time.js";
import { FakeDirector, NOON, transcript } from "./testing/fake-director.js";

let director: FakeDirector;
beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
});
afterEach(() => setClock());

const CATALOG = 'Automatically selected Catalog: MyCatalog\nUsing Catalog "MyCatalog"\n';

/** What follows the first command's echo and the catalog's two lines. */
async function answer(lines: readonly string[], name = "admin"): Promise<string> {
  const text = await transcript(director, lines, name);
  const head = `${lines[0]}\n${CATALOG}`;
  assert.ok(text.startsWith(head), text);
  return text.slice(head.length);
}

function asked(method: string) {
  return director.storage.calls.filter((call) => call.method === method).map((call) => call.request);
}

test("update volume: several values, bad ones, the menu, values of pools", async () => {
  director.storage.replies.UpdateVolume = () => ({ ok: true, error: "" });
  assert.equal(
    await answer([
      "update volume=Vol-1 volstatus=used maxvolbytes=10MB volretention=1year actiononpurge=Truncate enabled=no drive=0",
    ]),
    "New Volume status is: Used\nNew retention period is: 1 year \nNew Max bytes is: 10000000\nNew Enabled is: 0\n" +
      "New Action On Purge is: Truncate\n",
  );
  assert.deepEqual(asked("UpdateVolume")[0], { volume: "Vol-1", status: "Used" });
  assert.equal(
    await answer(["update volume=Vol-1 volstatus=Purged"]),
    "Invalid VolStatus specified: Purged\n",
  );
  assert.equal(await answer(["update volume=x volstatus=Used"]), 'Volume "x" not found.\n');
  const menu = await answer(["update volume=Vol-1", "1", "5", "17", "none", "19"]);
  assert.match(
    menu,
    /^Updating Volume "Vol-1"\nParameters to modify:\n {5}1: Volume Status\n[\s\S]* {4}19: Done\n/,
  );
  assert.match(
    menu,
    /Choose new Volume Status \(1-7\): 5\nNew Volume status is: Used\nUpdating Volume "Vol-1"\n/,
  );
  assert.match(menu, /truncate\/none\): none\nNew Action On Purge is: None\nUpdating[\s\S]*\(1-19\): 19\n$/);
  director.storage.replies.UpdateVolumesFromPool = () => ({
    volumes: [{ name: "Vol-1" }],
    messages: [],
    errors: [],
  });
  assert.equal(
    await answer(["update volume allfrompool=Default"]),
    'All Volume defaults updated from "Default" Pool record.\n',
  );
  assert.equal(
    await answer(["update volume=Vol-1 frompool"]),
    'Volume defaults updated from "Default" Pool record.\n',
  );
  assert.deepEqual(asked("UpdateVolumesFromPool"), [
    { pool: "Default", volume: "" },
    { pool: "Default", volume: "Vol-1" },
  ]);
});

test("update pool, slots, stats, jobid", async () => {
  director.storage.replies.SyncPools = () => ({ pools: [] });
  assert.equal(await answer(["update pool=Default"]), "Pool DB record updated from resource.\n");
  assert.equal(asked("SyncPools")[0].pools.length, 2);
  assert.ok(
    (await answer(["update slots storage=File1"])).endsWith(
      'Device "FileStorage" has 0 slots.\nNo slots in changer to scan.\n',
    ),
  );
  assert.equal(await answer(["update stats days=3"]), "Updating 3 job(s).\n");
  assert.equal(await answer(["update jobid=2 comment=hi"]), "New Comment of JobId=2 is: hi\n");
});

test("truncate and purge volume action=truncate; relabel; mount and its kin", async () => {
  director.storage.replies.Truncate = () => ({
    volumes: [{ name: "Vol-1", bytes: 220, device: "FileStorage" }],
    messages: [],
    errors: [],
  });
  const done =
    '3000 OK label. VolBytes=220 Volume="Vol-1" Device="FileStorage" (/srv/volumes)\nThe volume "Vol-1" has been truncated\n';
  assert.equal(await answer(["truncate volume=Vol-1 storage=File1"]), done);
  assert.equal(await answer(["purge volume action=truncate pool=Default storage=File1"]), done);
  assert.deepEqual(asked("Truncate")[1], {
    volume: "",
    pool: "Default",
    allPools: false,
    device: "FileStorage",
  });
  director.storage.replies.Truncate = () => ({ volumes: [], messages: [], errors: [] });
  assert.equal(
    await answer(["truncate allpools storage=File1"]),
    "No Volumes found to perform the command.\n",
  );
  assert.equal(
    await answer(["relabel oldvolume=Vol-1 volume=New-1"]),
    'Volume "Vol-1" has VolStatus Append. It must be Purged or Recycled before relabeling.\n',
  );
  director.storage.volumes[0]!.status = "Purged";
  director.storage.replies.Relabel = () => ({ ok: true, error: "", volumeBytes: 220, device: "FileStorage" });
  assert.match(
    await answer(["relabel oldvolume=Vol-1 volume=New-1"]),
    /\nOld volume "Vol-1" deleted from catalog\.\n/,
  );
  assert.deepEqual(asked("Relabel"), [{ volume: "Vol-1", newName: "New-1", pool: "Default" }]);
  const device = '"FileStorage" (/srv/volumes)';
  assert.match(
    await answer(["mount storage=File1"]),
    new RegExp(`3906 File device ${device.replace(/[()]/g, "\\$&")} is always`),
  );
  assert.ok(
    (await answer(["unmount storage=File1"])).includes(`3901 Device ${device} is already unmounted.`),
  );
  assert.ok((await answer(["release storage=File1"])).includes(`3921 Device ${device} already released.`));
});

test("vacuum: dry counts, else moves; shares of volumes; list dependants", async () => {
  director.storage.replies.Vacuum = () => [
    { event: "result", result: { ok: true, canceled: false, reason: "", files: 1, bytesStored: 1_500_000 } },
  ];
  assert.match(
    await answer(["vacuum pool=Default below=25% rate=5MB/s dry"]),
    /^[\s\S]*LiveBytes \| Live \|/,
  );
  assert.deepEqual(asked("Vacuum")[0], {
    ...{ pool: "Default", volume: "", belowPercent: 25, bytesPerSec: 5_000_000, dry: true },
  });
  assert.match(await answer(["vacuum volume=Vol-1"]), /^File1: 1\.500 MB moved\.\n/);
  assert.match(await answer(["vacuum below=200"]), /^below=200: not a percentage/);
  director.storage.jobs[2]!.bases = [1];
  assert.match(await answer(["list dependants jobid=1"]), /\| 3 +\| vm2 +\|[^\n]*\| 1 +\| Base \|\n/);
  assert.match(await answer(["list dependants volume=Vol-1"]), /\| 1 +\| vm1 [^\n]*\| Vol-1 \| own data \|/);
});

test("llist volume: where a volume ends, in the two halves of an address", async () => {
  director.storage.volumes[0]!.bytes = 5 * 2 ** 32 + 7;
  assert.match(await answer(["llist volume=Vol-1"]), /\n +EndFile: 5\n +EndBlock: 7\n/);
});
