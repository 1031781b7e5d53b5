/** The file browser for programs: numbers, pages, patterns, versions, lists for restores, and rights. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { scratchDirectory } from "../../../common/scratch-directory.js";
import { setClock } from "../../../common/time.js";
import type { DirectorConfig } from "../../config/types.js";
import { fileId, filePlace, textId } from "../sql/ids.js";
import { decodeLstat, lstatOf } from "../sql/lstat.js";
import { FakeDirector, NOON, transcript } from "../testing/fake-director.js";
import { setRights } from "../testing/open-console.js";

let director: FakeDirector;
let count = 0;
beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
  fresh();
});
afterEach(() => setClock());

/** Another working directory: nothing is remembered there. */
function fresh(): void {
  const workingDirectory = scratchDirectory(`bvfs-${++count}`);
  director.config = {
    ...director.config,
    director: { ...director.config.director, workingDirectory },
  } as DirectorConfig;
}

/** Fields of each line that one command printed. */
async function fields(command: string, name = "admin"): Promise<string[][]> {
  const text = await transcript(director, [command], name);
  const lines = text
    .slice(command.length + 1)
    .split("\n")
    .slice(0, -1);
  return lines.map((line) => line.split("\t"));
}

test("directories and files of runs that lie over each other", async () => {
  const dirs = await fields(".bvfs_lsdirs jobid=1,2 path=/srv");
  const none = "A A A A A A A A A A A A A A";
  assert.deepEqual(dirs.slice(0, 2), [
    [String(textId("/srv/")), "0", "0", "0", none, "."],
    [String(textId("/")), "0", "0", "0", none, ".."],
  ]);
  const etc = [String(textId("/srv/etc/")), "0", String(fileId({ jobId: 1, row: 4, turn: 0 })), "1"];
  assert.deepEqual(
    dirs.slice(2).map((line) => [...line.slice(0, 4), line[5]]),
    [[...etc, "etc/"]],
  );
  const files = await fields(".bvfs_lsfiles jobid=1,2 path=/srv/");
  assert.deepEqual(
    files.map(([path, name, file, job, , shown]) => [path, name, file, job, shown]),
    [
      ["a", { jobId: 2, row: 1, turn: 0 }],
      ["a-b", { jobId: 1, row: 3, turn: 0 }],
    ].map(([name, place]) => [
      String(textId("/srv/")),
      String(textId(name as string)),
      String(fileId(place as { jobId: number; row: number; turn: number })),
      String((place as { jobId: number }).jobId),
      name,
    ]),
  );
  assert.equal(
    files[0]![4],
    lstatOf({ type: "file", mode: 0o644, uid: 0, gid: 0, size: 11, mtimeSec: 1_700_000_000 }),
  );
});

test("pathid of what was shown, and of what was not; path above the root; names that are no text", async () => {
  const [root] = await fields(".bvfs_lsdirs jobid=1 path=");
  assert.equal(root![5], "/");
  const below = await fields(`.bvfs_lsdirs jobid=1 pathid=${root![0]}`);
  assert.deepEqual(
    below.map((line) => line[5]),
    [".", "..", "srv/"],
  );
  fresh();
  const etc = await fields(`.bvfs_lsfiles jobid=1 pathid=${textId("/srv/etc/")}`);
  assert.deepEqual(
    etc.map((line) => line[5]),
    ["caf\\351", "hosts"],
  );
  const wrong = await transcript(director, [".bvfs_lsfiles jobid=1 pathid=7", ".bvfs_lsdirs jobid=9 path=/"]);
  assert.match(wrong, /PathId 7 is not in the catalog\n.*\nJobId 9 has no files in the catalog\n$/);
});

test("pages and patterns", async () => {
  const names = async (more: string) =>
    (await fields(`.bvfs_lsfiles jobid=1 path=/srv ${more}`)).map((line) => line[5]);
  assert.deepEqual(await names(""), ["a", "a-b", "gone"]);
  assert.deepEqual(await names("limit=1"), ["a"]);
  assert.deepEqual(await names("limit=2 offset=1"), ["a-b", "gone"]);
  assert.deepEqual(await names("offset=3"), []);
  assert.deepEqual(await names("pattern=a*"), ["a", "a-b"]);
  assert.deepEqual(await names("pattern=-"), ["a-b"]);
  assert.deepEqual(await names('pattern="^a.*b$"'), ["a-b"]);
  assert.deepEqual(await names("filename=gone"), ["gone"]);
});

test("a single Incremental shows its own; versions of a file over a client's runs", async () => {
  assert.deepEqual(
    (await fields(".bvfs_lsfiles jobid=2 path=/srv")).map((line) => line[5]),
    ["a"],
  );
  const versions = `.bvfs_versions jobid=0 client=vm1-fd pathid=${textId("/srv/")} fnid=${textId("a")}`;
  const found = await fields(versions);
  assert.deepEqual(
    found.map((line) => [line[2], line[3], line[6], line[7]]),
    [1, 2].map((jobId) => [
      String(fileId({ jobId, row: jobId === 1 ? 2 : 1, turn: 0 })),
      String(jobId),
      "Vol-1",
      "0",
    ]),
  );
});

test("JobIds of a state, and of a client by time", async () => {
  director.storage.replies.ListJobs = ({ jobIds, client }) => ({
    jobs: director.storage.jobs
      .filter((job) => (jobIds?.length > 0 ? jobIds.includes(job.jobId) : !client || job.client === client))
      .map((job) => ({
        ...{
          ...job,
          uuid: `u${job.jobId}`,
          type: "B",
          chain: job.jobId === 2 ? [1] : [],
          needs: [],
          copyOf: "",
        },
      })),
  });
  assert.deepEqual(await fields(".bvfs_get_jobids jobid=2"), [["1,2"]]);
  assert.deepEqual(await fields(".bvfs_get_jobids jobid=1"), [["1"]]);
  assert.deepEqual(await fields(".bvfs_get_jobids client=vm1-fd"), [["1,2"]]);
  assert.deepEqual(await fields(".bvfs_get_jobids client=vm1-fd count"), [["2"]]);
  assert.deepEqual(await fields('.bvfs_get_jobids client=vm1-fd start="2026-11-21 10:30:00"'), [["2"]]);
  assert.deepEqual(await fields(".bvfs_get_volumes jobid=1,2"), [["Vol-1"]]);
  assert.equal(await transcript(director, [".bvfs_update jobid=1,2"]), ".bvfs_update jobid=1,2\n");
});

const ALL = "restore file=?b21 where=/tmp/r yes";

test("a list for a restore: files, directories, older versions, and only of this console", async () => {
  const a = fileId({ jobId: 2, row: 1, turn: 0 });
  await transcript(director, [
    `.bvfs_restore jobid=1,2 fileid=${a} dirid=${textId("/srv/etc/")} path=b21`,
    ALL,
  ]);
  assert.equal(director.ran.length, 1);
  const { selection, filesExpected } = director.ran[0]!.restore!;
  assert.deepEqual(selection.jobIds, [1, 2]);
  assert.equal(filesExpected, 4);
  setRights(director, {});
  assert.match(await transcript(director, [ALL], "op"), /There is no restore list b21/);
  const old = `.bvfs_restore jobid=1,2 fileid=${fileId({ jobId: 1, row: 2, turn: 0 })} path=b22`;
  const text = await transcript(director, [old, "restore file=?1,2:b22 yes"]);
  assert.match(text, /\nOK\n/);
  assert.deepEqual(director.ran[1]!.restore!.selection.jobIds, [1]);
  const both = await transcript(director, [old.replace("path", `dirid=${textId("/srv/etc/")} path`)]);
  assert.match(both, /older versions of files go into a list of their own/);
  assert.match(
    await transcript(director, [".bvfs_cleanup path=b22", "restore file=?b22 yes"]),
    /There is no restore list b22/,
  );
  for (const [wrong, told] of [
    [".bvfs_restore jobid=1 fileid=5 path=b21", /FileId 5 is not one of this catalog/],
    [
      `.bvfs_restore jobid=1 fileid=${fileId({ jobId: 1, row: 2, turn: 3 })} path=b21`,
      /is not in the list of JobId 1 any more/,
    ],
    [".bvfs_restore jobid=1 path=b21", /nothing to restore/],
    [".bvfs_restore jobid=1 fileid=1 path=x", /path= must be a name that begins with b2/],
    [".bvfs_restore jobid=1 hardlink=1 path=b21", /hardlink= must be pairs/],
  ] as const)
    assert.match(await transcript(director, [wrong]), told, wrong);
});

test("nothing is shown outside of DirectoryACL, UserIdACL and JobACL", async () => {
  setRights(director, { directoryAcl: ["/srv/etc/*"] });
  assert.deepEqual(await fields(".bvfs_lsfiles jobid=1 path=/srv", "op"), []);
  assert.deepEqual(
    (await fields(".bvfs_lsdirs jobid=1 path=/srv", "op")).map((line) => line[5]),
    [".", "..", "etc/"],
  );
  assert.equal((await fields(".bvfs_lsfiles jobid=1 path=/srv/etc", "op")).length, 2);
  const hidden = `.bvfs_restore jobid=1 fileid=${fileId({ jobId: 1, row: 2, turn: 0 })} path=b21`;
  assert.match(await transcript(director, [hidden], "op"), /is not in the list of JobId 1 any more/);
  director.storage.owners["/srv/a"] = { uid: 1000, gid: 100, mode: 0o600 };
  setRights(director, { userIdAcl: ["1001"] });
  assert.deepEqual(
    (await fields(".bvfs_lsfiles jobid=1 path=/srv", "op")).map((line) => line[5]),
    ["a-b", "gone"],
  );
  // A directory that others may not enter hides what lies in it, also from who names it by number.
  director.storage.owners["/srv/etc"] = { uid: 0, gid: 0, mode: 0o700 };
  const inside = `.bvfs_restore jobid=1 fileid=${fileId({ jobId: 1, row: 5, turn: 0 })} path=b21`;
  assert.match(await transcript(director, [inside], "op"), /is not in the list of JobId 1 any more/);
  setRights(director, { jobAcl: ["vm2"] });
  assert.deepEqual(await fields(".bvfs_lsfiles jobid=1 path=/srv", "op"), [
    ["JobId 1 has no files in the catalog"],
  ]);
  setRights(director, { commandAcl: ["list"] });
  assert.match(
    await transcript(director, [".bvfs_lsfiles jobid=1 path=/srv"], "op"),
    /not allowed for this console/,
  );
});

test("a number that was shown to one console says nothing to another one", async () => {
  const [line] = await fields(".bvfs_lsdirs jobid=1 path=/srv/etc");
  const id = line![0]!;
  assert.match(await transcript(director, [`.bvfs_lsfiles jobid=1 pathid=${id}`]), /hosts/);
  setRights(director, { directoryAcl: ["/srv/a*"] });
  const hidden = await transcript(director, [`.bvfs_lsdirs jobid=1 pathid=${id}`], "op");
  assert.match(hidden, /PathId \d+ is not in the catalog/);
});

test("in JSON the same as records", async () => {
  const text = await transcript(director, [".api json", ".bvfs_lsfiles jobid=1 path=/srv limit=1"]);
  const { data } = JSON.parse(text.trim().split("\n").at(-1)!);
  assert.deepEqual(Object.keys(data.entries[0]), [
    "PathId",
    "FilenameId",
    "FileId",
    "JobId",
    "LStat",
    "Name",
  ]);
});

test("numbers: there and back; LStat as Bacula writes it", () => {
  const place = { jobId: 2_147_483_647, row: 268_435_455, turn: 15 };
  assert.deepEqual(filePlace(String(fileId(place))), place);
  assert.equal(fileId({ ...place, turn: 16 }), fileId({ ...place, turn: 0 }));
  assert.equal(fileId({ ...place, row: 268_435_456 }), 0n);
  const text = lstatOf({
    type: "file",
    mode: 0o644,
    uid: 1000,
    gid: 100,
    size: 3_000_000_000,
    mtimeSec: 1_700_000_000,
  });
  assert.match(text, /^A A IGk B Po Bk A Cy0F4A BAA /);
  assert.deepEqual(
    decodeLstat(text)!.filter(([field]) => /mode|uid|st_size|mtime/.test(field)),
    [
      ["st_mode", "33188"],
      ["st_uid", "1000"],
      ["st_size", "3000000000"],
      ["st_mtime", "1700000000"],
    ],
  );
  assert.equal(decodeLstat("no stat!"), undefined);
});
