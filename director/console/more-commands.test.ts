/** `create`, `setip`, `statistics`, `status network`, what few ask `show` for, and small forms of other commands. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeDirector, transcript } from "./testing/fake-director.js";
import { setRights } from "./testing/open-console.js";

test("create makes a pool that a catalog does not have, and says so when all have it", async () => {
  const director = new FakeDirector();
  const there = [...director.config.pools.keys()][0]!;
  assert.match(
    await transcript(director, [`create pool=${there}`]),
    new RegExp(`^Error: Pool ${there} already exists\\.\nUse update to change it\\.$`, "m"),
  );
  const pools = director.config.pools as Map<string, unknown>;
  director.storage.replies.SyncPools = () => ({ pools: [] });
  pools.set("New", { ...director.config.pools.get(there)!, name: "New" });
  assert.match(await transcript(director, ["create pool=New"]), /^Pool New created\.$/m);
});

test("setip: only a named console that has a client of its name, at the address it calls from", async () => {
  const director = new FakeDirector();
  assert.match(await transcript(director, ["setip"], "admin", "192.0.2.7:4444"), /Unauthorized command/);
  setRights(director, {});
  assert.match(await transcript(director, ["setip"], "op", "192.0.2.7:4444"), /^Client "op" not found\.$/m);
  const clients = director.config.clients as Map<string, unknown>;
  clients.set("op", { ...[...director.config.clients.values()][0]!, name: "op" });
  const moved = await transcript(director, ["setip"], "op", "::ffff:192.0.2.7:4444");
  assert.match(moved, /^Client "op" address set to 192\.0\.2\.7$/m);
  assert.deepEqual([...director.addresses], [["op", "192.0.2.7"]]);
  setRights(director, { clientAcl: ["other"] });
  assert.match(await transcript(director, ["setip"], "op", "192.0.2.8:1"), /Unauthorized command/);
  assert.equal(director.addresses.get("op"), "192.0.2.7");
});

test("statistics: a line for each figure, of the director, a client, a storage daemon", async () => {
  const director = new FakeDirector();
  const own = await transcript(director, ["statistics"]);
  assert.match(own, new RegExp(`^bacula\\.jobs\\.all=${director.config.jobs.size}$`, "m"));
  assert.match(own, /^bacula\.dir\.memory\.heap=\d+$/m);
  const full = await transcript(director, ["statistics full"]);
  assert.match(full, /^name="bacula\.dir\.memory\.heap" type=integer unit=bytes value=\d+$/m);
  const client = [...director.config.clients.keys()][0]!;
  const text = await transcript(director, [`statistics client=${client}`]);
  assert.match(text, new RegExp(`^bacula\\.client\\.${client}\\.jobs\\.running=\\d+$`, "m"));
  const storage = [...director.config.storages.keys()][0]!;
  const line = (await transcript(director, [`statistics storage=${storage} json`])).split("\n")[1]!;
  assert.equal(typeof JSON.parse(line)[`bacula.storage.${storage}.devices.all`], "number");
});

test("status network is the fifth of six answers to the menu, as in Bacula", async () => {
  const director = new FakeDirector();
  const text = await transcript(director, ["status", "5", "1", "1"]);
  assert.match(text, /^ {5}5: Network\n {5}6: All\nSelect daemon type for status \(1-6\): 5$/m);
  const [client] = director.config.clients.keys();
  const [storage] = director.config.storages.keys();
  assert.deepEqual(director.tested, [{ client, storage, bytes: 52_428_800, packets: 10 }]);
  assert.ok(
    text.includes(
      `Running network test between Client=${client} and Storage=${storage} with 52.43 MB ...
2000 OK FD wrote bytes=52428800 to SD duration=125ms write_speed=419.4 MB/s
2000 OK FD read bytes=52428800 from SD duration=40ms read_speed=1.298 GB/s
2000 OK packets=10 duration=3ms rtt=0.30ms min=0.50ms max=1.25ms
`,
    ),
    text,
  );
});

test("status network takes a size and a number of round trips, and only what is granted", async () => {
  const director = new FakeDirector();
  const [client] = director.config.clients.keys();
  const [storage] = director.config.storages.keys();
  await transcript(director, [`status network client=${client} storage=${storage} bytes=1kb rtt=3`]);
  assert.deepEqual(director.tested, [{ client, storage, bytes: 1000, packets: 3 }]);
  for (const wrong of ["bytes=0", "bytes=-1", "bytes=9999999TB", "bytes=x", "rtt=0", "rtt=-1", "rtt=1e9"])
    await transcript(director, [`status network client=${client} storage=${storage} ${wrong}`]);
  setRights(director, { clientAcl: [client!], storageAcl: [], commandAcl: ["status"] });
  await transcript(director, [`status network client=${client} storage=${storage}`, "."], "op");
  setRights(director, { clientAcl: [], storageAcl: [storage!], commandAcl: ["status"] });
  await transcript(director, [`status network client=${client} storage=${storage}`, "."], "op");
  assert.equal(director.tested.length, 1);
  setRights(director, { clientAcl: [client!], storageAcl: [storage!], commandAcl: ["status"] });
  await transcript(director, [`status network client=${client} storage=${storage}`], "op");
  assert.equal(director.tested.length, 2);
});

test("enable and disable want a keyword, offer what can be switched, and switch all jobs at a word", async () => {
  const director = new FakeDirector();
  const jobs = [...director.config.jobs.keys()];
  const off = (): string[] => jobs.filter((job) => !director.isEnabled("job", job));
  const keyword = "You must enter one of the following keywords: job, client, schedule, or storage.\n";
  assert.equal(await transcript(director, ["disable"]), `disable\n${keyword}`);
  assert.deepEqual(off(), []);
  const second = jobs[1]!;
  assert.match(
    await transcript(director, ["disable job", "2"]),
    new RegExp(`^Job "${second}" disabled$`, "m"),
  );
  assert.deepEqual(off(), [second]);
  assert.doesNotMatch(await transcript(director, ["disable job", "."]), new RegExp(`: ${second}$`, "m"));
  const back = await transcript(director, ["enable job"]);
  assert.match(back, new RegExp(`^Automatically selected Job: ${second}\nJob "${second}" enabled$`, "m"));
  const all = await transcript(director, ["disable jobs all"]);
  assert.deepEqual(off(), jobs);
  assert.equal(all.match(/ disabled$/gm)?.length, jobs.length);
  const fixed = director.config.jobs as Map<string, unknown>;
  fixed.set(second, { ...director.config.jobs.get(second)!, enabled: false });
  const mostly = await transcript(director, ["enable jobs all"]);
  assert.deepEqual(off(), [second]);
  assert.match(
    mostly,
    new RegExp(`^Job ${second} was not enabled because it is explicitly disabled in configuration\\.$`, "m"),
  );
  const [client] = director.config.clients.keys();
  const [schedule] = director.config.schedules.keys();
  const both = await transcript(director, [`disable client=${client} schedule=${schedule}`]);
  assert.match(both, new RegExp(`^Client "${client}" disabled\nSchedule "${schedule}" disabled$`, "m"));
});

test("enable jobs all leaves jobs alone that are not granted", async () => {
  const director = new FakeDirector();
  const jobs = [...director.config.jobs.keys()];
  setRights(director, { jobAcl: [jobs[0]!], clientAcl: ["*all*"], commandAcl: ["disable"] });
  const text = await transcript(director, ["disable jobs all"], "op");
  assert.deepEqual(
    jobs.filter((job) => !director.isEnabled("job", job)),
    [jobs[0]],
  );
  for (const other of jobs.slice(1)) assert.ok(!text.includes(`"${other}"`));
});

test("show: catalog, counters, consoles; a kind without resources says so", async () => {
  const director = new FakeDirector();
  assert.match(await transcript(director, ["show catalog"]), /^Catalog: name=MyCatalog /m);
  assert.match(await transcript(director, ["show statistics"]), /^No Statistics resource defined\.$/m);
  assert.match(
    await transcript(director, ["show counters"]),
    /^(Counter: name=|No Counter resource defined)/m,
  );
  setRights(director, { jobAcl: ["vm1"], commandAcl: ["show"] });
  const consoles = director.config.consoles as Map<string, unknown>;
  consoles.set("other", { ...director.config.consoles.get("op")!, name: "other" });
  const seen = await transcript(director, ["show consoles"], "op");
  assert.match(seen, /^Console: name=op CommandACL=show$/m);
  assert.doesNotMatch(seen, /name=other/);
});

test("cancel asks for a single job too, takes the beginning of a run's name, and yes at its word", async () => {
  const director = new FakeDirector();
  director.addLive(4);
  const asked = await transcript(director, ["cancel", "no"]);
  assert.match(
    asked,
    /^Automatically selected Job: (JobId=4 Job=\S+)\n\1\nConfirm cancel of 1 Job \(yes\/no\): no$/m,
  );
  assert.deepEqual(director.canceled, []);
  const name = director.live[0]!.job;
  await transcript(director, [`cancel job=${name.slice(0, -3)}`]);
  assert.deepEqual(director.canceled, [4]);
  director.addLive(5);
  await transcript(director, ["cancel jobid=4 yes", "cancel jobid=5"]);
  assert.equal(director.canceled.at(-1), 5);
});

test("status all asks each storage daemon once, however many Storage resources name it", async () => {
  const director = new FakeDirector();
  const [first] = director.config.storages.values();
  const storages = director.config.storages as Map<string, unknown>;
  storages.set("Twin", { ...first!, name: "Twin" });
  storages.set("Other", { ...first!, name: "Other", port: 9999 });
  const text = await transcript(director, ["status all"]);
  const asked = [...text.matchAll(/^Connecting to Storage daemon (\S+) at/gm)].map(([, name]) => name);
  assert.deepEqual(asked, [first!.name, "Other"]);
});

test("update: snapshots are the fifth item, and there are none", async () => {
  const text = await transcript(new FakeDirector(), ["update", "5", "update snapshot"]);
  assert.match(text, /^ {5}5: Snapshot parameters\n.*: 5\nNo snapshots are kept/m);
  assert.equal(text.match(/No snapshots are kept/g)?.length, 2);
});

test("var replaces the variables of a label format", async () => {
  const long = await transcript(new FakeDirector(), [`var ${"${a:".repeat(100_000)}`]);
  assert.match(long, /\nThe label format is too long\.\n/);
  const text = await transcript(new FakeDirector(), ["var Vol-$" + "{Year}-$" + "{Nothing}"]);
  assert.match(text, new RegExp(`^Vol-${new Date().getFullYear()}-\\$\\{Nothing\\}$`, "m"));
});

test("setdebug reaches the daemons that are named, with what was said and nothing else", async () => {
  const director = new FakeDirector();
  director.storage.replies.SetDebug = () => ({});
  const client = [...director.config.clients.keys()][0]!;
  const storage = [...director.config.storages.keys()][0]!;
  const text = await transcript(director, [
    `setdebug level=50 trace=1 hangup=-20 client=${client}`,
    `setdebug level=0 storage=${storage}`,
    "setdebug level=1 hangup=x client",
    "setdebug level=1 client=nosuch",
  ]);
  assert.match(text, new RegExp(`^2000 OK setdebug=50 trace=1 hangup=-20 client=${client}$`, "m"));
  assert.match(text, /^Client "nosuch" not found$/m);
  assert.match(text, new RegExp(`^3000 OK setdebug=0 trace=0 hangup=0 storage=${storage}$`, "m"));
  assert.match(text, /^Expected an integer, got: x$/m);
  assert.deepEqual(
    director.storage.calls.filter(({ method }) => method === "SetDebug").map(({ request }) => request),
    [{ level: 50, trace: true, hangup: -20 }, { level: 0 }],
  );
});
