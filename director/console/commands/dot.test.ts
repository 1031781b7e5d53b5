/** The machine interface besides SQL and the file browser, and lists that programs read by column. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../../common/time.js";
import type { ClientResource } from "../../config/types.js";
import { FakeDirector, NOON, transcript } from "../testing/fake-director.js";
import { setRights } from "../testing/open-console.js";

let director: FakeDirector;
beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
});
afterEach(() => setClock());

/** What the last of some lines printed. */
async function answer(lines: string | readonly string[], name = "admin"): Promise<string> {
  const all = typeof lines === "string" ? [lines] : [...lines];
  const text = await transcript(director, all, name);
  return text.slice(text.lastIndexOf(`${all.at(-1)}\n`) + all.at(-1)!.length + 1);
}

test(".status dir current and last: a line a job behind the head", async () => {
  assert.equal(await answer(".status dir last"), "1000 OK .status\nJobId=3 JobStatus=T JobErrors=0\n");
  assert.equal(await answer(".status dir current"), "1000 OK .status\n");
  director.addLive(7);
  director.addLive(8, "waiting");
  assert.equal(
    await answer(".status dir current"),
    "1000 OK .status\nJobId=7 JobStatus=R JobErrors=0\nJobId=8 JobStatus=C JobErrors=0\n",
  );
});

test(".status in parts: each holds its own lines and no others", async () => {
  assert.match(await answer(".status dir running"), /^\nRunning Jobs:\n[^\n]*\nNo Jobs running\.\n====\n$/);
  assert.match(await answer(".status dir terminated"), /^\nTerminated Jobs:\n JobId [\s\S]*vm2\n\n====\n$/);
  assert.match(await answer(".status dir scheduled"), /^\nScheduled Jobs:\n[\s\S]*vm1[\s\S]*====\n$/);
  assert.match(await answer(".status dir header"), /^test-dir Version: /);
  assert.match(await answer(".status dir statistics"), /^bacula\.jobs\.all=3\n/);
  const client = await answer(".status client=vm1-fd running");
  assert.match(client, /\nRunning Jobs:\nDirector connected at: [^\n]*\nNo Jobs running\.\n====\n$/);
  assert.ok(!client.includes("Version") && !client.includes("Terminated"));
  const devices = await answer(".status storage=File1 devices");
  assert.ok(devices.includes("Device status:") && !devices.includes("Running Jobs"));
  assert.ok((await answer(".status storage=File1 terminated")).includes("Terminated Jobs:"));
});

test(".api 2: the same as key=value lines, an empty line before each record", async () => {
  director.addLive(7);
  const running = await answer([".api 2", ".status dir running"]);
  assert.match(
    running,
    /^\njobid=7\nlevel=F\ntype=B\nstatus=R\nstatus_desc=is running\n[\s\S]*\nname=vm1\nclientname=vm1-fd\n/,
  );
  assert.match(
    await answer([".api 1", ".status dir header"]),
    /^name=test-dir\nversion=[\s\S]*\nstarted_epoch=\d+\n/,
  );
  const ended = await answer([".api 2", ".status dir terminated"]);
  assert.equal(ended.split("\n\n").length, 3);
  assert.match(ended, /\njobid=3\nlevel=F\ntype=B\nstatus=T\nstatus_desc=OK\njobbytes=1\njobfiles=2\n/);
  assert.match(await answer([".api 2", ".status client=vm1-fd header"]), /^name=vm1-fd\nversion=0\.1\.0\n/);
  assert.match(
    await answer([".api 2", ".status storage=File1 devices"]),
    /\nname=FileStorage\narchive_device=\/srv\/volumes\n/,
  );
  assert.match(await answer([".api 2", ".status dir scheduled"]), /^\nname=vm1\nlevel=Incremental\n/);
  assert.match(await answer([".api 2", ".api 0", ".status dir running"]), /^\nRunning Jobs:\n/);
  assert.equal(await answer(".api 3"), ".api 3: must be 0, 1, 2, json or text\n");
});

test(".clients address= resolves names", async () => {
  const clients = director.config.clients as Map<string, ClientResource>;
  clients.set("vm2-fd", { ...clients.get("vm2-fd")!, address: "localhost" });
  clients.set("vm1-fd", { ...clients.get("vm1-fd")!, address: "192.0.2.7" });
  assert.equal(await answer(".clients"), "vm1-fd\nvm2-fd\n");
  assert.equal(await answer(".clients address=192.0.2.7"), "vm1-fd\n");
  assert.equal(await answer(".client address=127.0.0.1"), "vm2-fd\n");
  assert.equal(await answer(".clients address=192.0.2.8"), "");
  setRights(director, { clientAcl: ["vm1-fd"] });
  assert.equal(await answer(".clients address=127.0.0.1", "op"), "");
});

test(".estimate from the last runs, .ls of a client's directory", async () => {
  assert.equal(
    await answer(".estimate job=vm1 level=full"),
    "level=F\njob=vm1\nnbjob=1\njobbytes=45\njobfiles=7\nduration=1\n",
  );
  assert.match(await answer(".estimate job=vm1 level=d"), /nbjob=0\njobbytes=0\n/);
  director.storage.replies.Estimate = ({ fileSet, listing }) => {
    assert.deepEqual(
      [fileSet.include[0].files, fileSet.include[0].options[0].recurse, listing],
      [["/srv"], false, true],
    );
    const line = (path: string, type: string) => ({
      ...{ path: Buffer.from(path), type, mode: 0o644, links: 1, uid: 0, gid: 0, size: 5 },
      ...{ mtimeSec: 0, target: Buffer.alloc(0) },
    });
    return [
      { lines: [line("/srv/a", "file")], done: false, files: 0, bytes: 0, error: "" },
      { lines: [], done: true, files: 1, bytes: 5, error: "" },
    ];
  };
  const listed = await answer(".ls client=vm1-fd path=/srv/");
  assert.match(listed, /^-rw-r--r-- {3}1 0 +0 +5 .* \/srv\/a\n2000 OK estimate files=1 bytes=5\n$/);
  const seen = async (rights: object) => {
    setRights(director, rights);
    return await answer(".ls client=vm1-fd path=/srv", "op");
  };
  const refused = "/srv: not allowed by this console's ACL\n";
  assert.equal(await seen({ directoryAcl: ["/home"] }), refused);
  // Who gets to /srv is not in the answer.
  assert.equal(await seen({ userIdAcl: ["1000"] }), refused);
  assert.equal(await seen({ directoryAcl: ["/srv/b"] }), "2000 OK estimate files=0 bytes=0\n");
  assert.match(await seen({ directoryAcl: ["/srv/a"] }), / \/srv\/a\n2000 OK estimate files=1 bytes=5\n$/);
});

test("list jobmedia: shares of a run's files, and only of runs and pools that are granted", async () => {
  director.storage.replies.ListJobMedia = ({ jobIds }) => [
    {
      extents: [
        { jobId: 1, mediaId: 1, volume: "Vol-1", ord: 0, firstOffset: 100, endOffset: 200, files: 7 },
        { jobId: 1, mediaId: 2, volume: "Vol-2", ord: 1, firstOffset: 0, endOffset: 100, files: 7 },
        { jobId: 3, mediaId: 2, volume: "Vol-2", ord: 0, firstOffset: 100, endOffset: 200, files: 2 },
      ].filter(({ jobId }) => (jobIds ?? []).length === 0 || jobIds.includes(jobId)),
    },
  ];
  const head =
    "+-------+------------+------------+-----------+\n| JobId | VolumeName | FirstIndex | LastIndex |\n";
  const list = await answer("list jobmedia jobid=1");
  assert.ok(list.includes(head));
  assert.match(list, /\| 1 {5}\| Vol-1 {6}\| 1 {10}\| 3 {9}\|\n\| 1 {5}\| Vol-2 {6}\| 4 {10}\| 7 {9}\|\n\+/);
  const long = await answer("llist jobmedia");
  assert.match(
    long,
    / JobMediaId: 1048576\n {6}JobId: 1\n {4}MediaId: 1\n VolumeName: Vol-1\n FirstIndex: 1\n {2}LastIndex: 3\n {2}StartFile: 0\n {4}EndFile: 0\n StartBlock: 100\n {3}EndBlock: 199\n\n/,
  );
  assert.ok(long.includes("JobId: 3"));
  setRights(director, { jobAcl: ["vm1"] });
  assert.ok(!(await answer("llist jobmedia", "op")).includes("JobId: 3"));
  setRights(director, { poolAcl: ["Archive"] });
  assert.match(await answer("llist jobmedia", "op"), /No results to list\.\n$/);
});

test("list volumes jobid=: a line for each run that is granted", async () => {
  assert.match(
    await answer("list volumes jobid=1,3"),
    /\nJobid 1 used 1 Volume\(s\): Vol-1\nJobid 3 used 1 Volume/,
  );
  setRights(director, { jobAcl: ["vm1"] });
  assert.ok(!(await answer("list volumes jobid=1,3", "op")).includes("Jobid 3"));
  assert.match(await answer("list volumes jobid=3", "op"), /No results to list\.\n$/);
});

test("llist: keys in Bacula's order", async () => {
  const keys = async (line: string) =>
    (await answer(line))
      .split("\n\n")[0]!
      .split("\n")
      .flatMap((each) => /^ *(\w+): /.exec(`${each} `)?.[1] ?? []);
  const runs =
    "JobId Job Name PurgedFiles Type Level ClientId ClientName JobStatus SchedTime StartTime EndTime " +
    "RealEndTime JobTDate VolSessionId VolSessionTime JobFiles JobBytes ReadBytes JobErrors JobMissingFiles " +
    "PoolId PoolName PriorJobId FileSetId FileSet HasBase HasCache Comment";
  assert.deepEqual((await keys("llist jobid=1")).slice(-34, -5), runs.split(" "));
  const volume = await keys("llist volume=Vol-1");
  const stated = [
    "MediaId",
    "VolumeName",
    "Slot",
    "PoolId",
    "MediaType",
    "VolBytes",
    "VolStatus",
    "Enabled",
    "Recycle",
  ];
  stated.push("VolRetention", "VolUseDuration", "MaxVolJobs", "MaxVolFiles", "MaxVolBytes", "InChanger");
  stated.push("RecyclePoolId", "ScratchPoolId", "ActionOnPurge", "CacheRetention", "ExpiresIn", "Comment");
  assert.deepEqual(
    volume.filter((key) => stated.includes(key)),
    stated,
  );
  const pool = await keys("llist pool=Default");
  assert.ok(pool.includes("ScratchPoolId") && pool.includes("CacheRetention"));
});
