/** Where a console may restore to, whose backups, and which files. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../../common/time.js";
import { FakeDirector, NOON, transcript } from "../testing/fake-director.js";
import { setRights } from "../testing/open-console.js";

let director: FakeDirector;
beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
});
afterEach(() => setClock());

const RESTORE = 'restore client=vm1-fd fileset="Full Set" select all done yes';

test("WhereACL: below a granted place only, and never by way of `..`", async () => {
  setRights(director, { whereAcl: ["/tmp/restores"] });
  for (const [where, granted] of [
    ["where=/tmp/restores", true],
    ["", true],
    ["where=/tmp/restores/deeper", true],
    ["where=/tmp/restores/../../etc", false],
    ["where=/tmp/restores2", false],
    ["where=/", false],
    ["where=", false],
    ["where=/etc", false],
  ] as const) {
    director.ran.length = 0;
    const text = await transcript(director, [`${RESTORE} ${where}`], "op");
    assert.equal(director.ran.length, granted ? 1 : 0, `${where}: ${text}`);
    if (!granted) assert.match(text, /Where ".*": not allowed by this console's ACL/);
  }
  setRights(director, { whereAcl: ["*all*", "!/etc"] });
  director.ran.length = 0;
  for (const where of ["/etc", "/etc/x", "/tmp/../etc"]) {
    const text = await transcript(director, [`${RESTORE} where=${where}`], "op");
    assert.match(text, /not allowed by this console's ACL/, where);
  }
  setRights(director, { whereAcl: ["/"] });
  await transcript(director, [`${RESTORE} where=/`], "op");
  assert.equal(director.ran.length, 1);
});

test("RestoreClientACL and BackupClientACL grant one direction each", async () => {
  setRights(director, { clientAcl: [], backupClientAcl: ["vm1-fd"], restoreClientAcl: ["vm2-fd"] });
  await transcript(director, [`${RESTORE} restoreclient=vm2-fd`], "op");
  assert.equal(director.ran.length, 1);
  assert.equal(director.ran[0]!.restore!.restoreClient, "vm2-fd");
  // As everywhere, a name that is not there leads to the list of those that are.
  const other = await transcript(director, [`${RESTORE} restoreclient=vm1-fd`], "op");
  assert.match(other, /Client "vm1-fd" not found\nAutomatically selected Client: vm2-fd\n/);
  assert.ok(director.ran.every(({ restore }) => restore!.restoreClient === "vm2-fd"));
  director.ran.length = 0;
  await transcript(director, ["run job=vm2 yes"], "op");
  assert.equal(director.ran.length, 0);
  await transcript(director, ["run job=vm1 yes"], "op");
  assert.equal(director.ran.length, 1);
});

test("after the director's database was lost the first restore waits until its runs are known again", async () => {
  setRights(director, { directoryAcl: ["/srv"] });
  const { jobs } = director.db;
  const known = jobs.get;
  jobs.get = () => undefined;
  director.learnRuns = async () => {
    jobs.get = known;
  };
  assert.match(await transcript(director, [RESTORE], "op"), /\nJob queued\. JobId=11\n/);
});

test("a run that is not there fails its job where nothing is hidden, and is refused where something is", async () => {
  const line = "run job=vm1 jobid=4711 yes";
  setRights(director, {});
  assert.match(await transcript(director, [line], "op"), /\nJob queued\. JobId=11\n$/);
  setRights(director, { clientAcl: ["vm1-fd"] });
  assert.match(await transcript(director, [line], "op"), /\nJobId 4711 is not in the catalog\n$/);
});

/** Paths that the rules of the last restore take, of a list. */
function restored(paths: readonly string[]): string[] {
  const rules = director.ran.at(-1)!.restore!.selection.rules.map((rule) => ({
    path: Buffer.from(rule.path as Uint8Array).toString("latin1"),
    include: rule.include,
    recursive: rule.recursive,
  }));
  const covers = (top: string, path: string) => top === "/" || path === top || path.startsWith(`${top}/`);
  return paths.filter(
    (path) =>
      rules.findLast((rule) => rule.path === path || (rule.recursive && covers(rule.path, path)))?.include,
  );
}

const PATHS = ["/srv", "/srv/a", "/srv/a-b", "/srv/etc", "/srv/etc/hosts", "/srv/etc/caf\xe9"];

test("DirectoryACL: seen, counted and restored is what lies in granted places", async () => {
  const cases: [string[], string[]][] = [
    [["/srv/etc/*"], ["/srv/etc", "/srv/etc/hosts", "/srv/etc/caf\xe9"]],
    [["/srv/"], ["/srv", "/srv/a", "/srv/a-b", "/srv/etc"]],
    [["/srv/etc"], ["/srv/etc", "/srv/etc/hosts", "/srv/etc/caf\xe9"]],
    [
      ["/srv", "!/srv/etc"],
      ["/srv", "/srv/a", "/srv/a-b"],
    ],
    [
      ["*all*", "!/srv/etc"],
      ["/srv", "/srv/a", "/srv/a-b"],
    ],
    [["*all*"], PATHS],
  ];
  for (const [directoryAcl, paths] of cases) {
    setRights(director, { directoryAcl });
    director.ran.length = 0;
    const text = await transcript(director, [RESTORE], "op");
    assert.deepEqual(restored(PATHS), paths, directoryAcl.join());
    assert.ok(text.includes(`${paths.length} files inserted into the tree`), text);
    assert.equal(director.ran[0]!.restore!.filesExpected, paths.length);
    const list = await transcript(director, ["list files jobid=1"], "op");
    assert.equal(list.includes("/srv/a "), paths.includes("/srv/a"), list);
  }
  setRights(director, { directoryAcl: ["/srv/etc/*"] });
  const tree = await transcript(
    director,
    [
      "restore jobid=1,2",
      "cd /srv",
      "ls",
      "cd etc",
      "ls",
      "find *",
      "mark /srv/a",
      "mark hosts",
      "count",
      "quit",
    ],
    "op",
  );
  assert.match(tree, /cwd is: \/srv\/\n/);
  assert.ok(tree.includes("\netc/\n") && tree.includes("hosts"));
  assert.ok(!/\na(-b)?\n/.test(tree) && tree.includes("No files marked."), tree);
  setRights(director, { directoryAcl: [] });
  assert.match(await transcript(director, [RESTORE], "op"), /No files selected to be restored/);
});

test("UserIdACL: as the file system would decide for these users", async () => {
  director.storage.owners["/srv/a"] = { uid: 1000, gid: 100, mode: 0o600 };
  director.storage.owners["/srv/a-b"] = { uid: 0, gid: 100, mode: 0o640 };
  director.storage.owners["/srv/etc"] = { uid: 1001, gid: 1001, mode: 0o700 };
  director.storage.owners["/srv/etc/hosts"] = { uid: 1001, gid: 1001, mode: 0o644 };
  const cases: [string[], string[]][] = [
    [["1000"], ["/srv", "/srv/a"]],
    [[":100"], ["/srv", "/srv/a-b"]],
    [["1000:100"], ["/srv", "/srv/a", "/srv/a-b"]],
    [["1001"], ["/srv", "/srv/etc", "/srv/etc/hosts", "/srv/etc/caf\xe9"]],
    [["1002"], ["/srv"]],
    [["root"], PATHS],
  ];
  for (const [userIdAcl, paths] of cases) {
    setRights(director, { userIdAcl });
    const text = await transcript(director, [RESTORE], "op");
    assert.deepEqual(restored(PATHS), paths, userIdAcl.join());
    assert.ok(text.includes(`${paths.length} file`), text);
    const direct = await transcript(director, ["restore client=vm1-fd file=/srv/etc/hosts yes"], "op");
    assert.equal(direct.includes("No files selected"), !paths.includes("/srv/etc/hosts"), userIdAcl.join());
    const found = await transcript(director, ["restore", "2", "1", "hosts", "."], "op");
    assert.equal(found.includes("| /srv/etc/hosts"), paths.includes("/srv/etc/hosts"), found);
  }
  for (const userIdAcl of [[], ["no-such-user"]]) {
    setRights(director, { userIdAcl });
    assert.match(await transcript(director, [RESTORE], "op"), /No files selected to be restored/);
  }
});
