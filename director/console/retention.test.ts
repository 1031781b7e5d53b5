import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../common/time.js";
import { FakeDirector, NOON, recordOf, transcript } from "./testing/fake-director.js";

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

function reply(items: object[], more: object = {}) {
  const item = {
    job: "vm1.x",
    level: "F",
    startMs: 0,
    endMs: NOON,
    reason: "",
    neededBy: [],
    client: "vm1-fd",
    bytes: 5,
  };
  const whole = items.map((each) => ({ ...item, ...each }));
  return { items: whole, purgedVolumes: [], messages: [], refused: false, pruned: 0, ...more };
}

function asked(method: string) {
  return director.storage.calls.filter((call) => call.method === method).map((call) => call.request);
}

test("prune jobs dry: what would go, why the rest stays; nothing is removed", async () => {
  director.storage.replies.Prune = () =>
    reply([
      { jobId: 1, action: "keep", reason: "needed by kept runs", neededBy: [2] },
      { jobId: 3, action: "delete", reason: "ended 2026-05-01, Job Retention = 180 days" },
    ]);
  const text = await answer(["prune jobs client=vm1-fd dry"]);
  assert.match(
    text,
    /\| JobId \| Job +\| Client +\| Level \| EndTime +\| JobBytes \| Action \| NeededBy \| Reason/,
  );
  assert.match(text, /\| 3 +\|[^\n]*\| delete \|[^\n]*180 days[^\n]*\n\| 1 +\|[^\n]*\| keep +\| 2 /);
  assert.ok(text.endsWith("1 of 2 Jobs would be pruned. Nothing was changed.\n"), text);
  const [request] = asked("Prune");
  assert.deepEqual([request.kind, request.client, request.dry], ["jobs", "vm1-fd", true]);
  assert.ok(request.timeZone.length > 0 && request.rules.length === 2);
  assert.deepEqual([...director.removed], []);
});

test("prune jobs yes: counted per client, with what is recorded here alone; records follow", async () => {
  const failed = { ...recordOf(director.storage.jobs[0]!), jobId: 20, status: "E" as const, endMs: 1 };
  director.own.push(failed, { ...failed, jobId: 21, type: "R" as const, endMs: NOON });
  director.storage.replies.Prune = () =>
    reply(
      [
        { jobId: 1, action: "delete" },
        { jobId: 2, action: "rebase" },
      ],
      { purgedVolumes: ["Vol-1"] },
    );
  director.storage.replies.ListJobs = () => ({
    jobs: [{ jobId: 2, jobName: "vm1", client: "vm1-fd", level: "Full", bases: [], chain: [] }],
  });
  assert.equal(
    await answer(["prune jobs client=vm1-fd yes"]),
    "Consolidated JobId 2: it needs no older run any more.\n" +
      'There are no more Jobs associated with Volume "Vol-1". Marking it purged.\n' +
      "Pruned 2 Jobs for client vm1-fd from catalog.\n",
  );
  assert.deepEqual([...director.removed].sort(), [1, 20]);
  assert.deepEqual(director.changes.get(2), { level: "F", baseJobIds: [], priorJobId: 0 });
});

test("prune: questions, a period of its own, nothing found, statistics, expired volumes", async () => {
  director.storage.replies.Prune = () => reply([]);
  assert.equal(
    await answer(["prune jobs client=vm1-fd", "mod", "1 week"]),
    "The current Job retention period is: 6 months \nWhat Job and Pool resources say outranks it; `dry` tells what would go.\n" +
      "Continue? (yes/mod/no): mod\nEnter new Job retention period: 1 week\nNo Jobs found to prune.\n",
  );
  assert.deepEqual(
    asked("Prune")[0].rules.map((rule: { jobRetention: number }) => rule.jobRetention),
    [604_800, 604_800],
  );
  assert.ok((await answer(["prune files", "1", "no"])).endsWith("Continue? (yes/mod/no): no\n"));
  assert.equal(asked("Prune").length, 1);
  assert.match(await answer(["prune stats yes"]), /^Pruned 2 Jobs from JobHisto and 5 lines from Log\.\n$/);
  assert.equal(await answer(["prune expired volume yes"]), "");
  assert.equal(
    await answer(["prune volume=Vol-1 yes"]),
    'Found no Job associated with the Volume "Vol-1" to prune.\n',
  );
  assert.deepEqual([asked("Prune")[1].volume, asked("Prune")[2].volume], ["", "Vol-1"]);
  assert.equal(await answer(["prune volume=nosuch yes"]), 'Volume "nosuch" not found.\n');
});

test("purge of a Base that a Full needs: refused, the Full named, the way out told", async () => {
  director.storage.jobs[2]!.bases = [1];
  director.storage.replies.Purge = () =>
    reply([{ jobId: 1, action: "refused", reason: "other runs lie over it", neededBy: [3] }], {
      refused: true,
    });
  const text = await answer(["purge jobs jobid=1"]);
  assert.match(text, /^\nThis command can be DANGEROUS!!!\n/);
  assert.ok(
    text.endsWith(
      "JobId 1 vm1.x: other runs lie over it\n    needed by JobId 3 vm2 (Full, Client vm2-fd) as its Base\n" +
        "To let go of them, give the runs that need them lists of their own:  rebase jobid=3\n" +
        "and then again:  purge jobs jobid=1\nNothing was purged.\n",
    ),
    text,
  );
  assert.deepEqual([...director.removed], []);
  const json = await transcript(director, [".api json", "purge jobs jobid=1"]);
  const found = JSON.parse(json.trimEnd().split("\n").at(-1)!);
  assert.deepEqual(
    [found.ok, found.data.refused[0].NeededBy, found.data.dependants[0].Name],
    [false, [3], "vm2"],
  );
});

test("rebase, then the purge goes through", async () => {
  const none = { canceled: false, reason: "", files: 0, bytesStored: 0 };
  director.storage.replies.Rebase = () => [
    { event: "message", message: { type: "info", text: "JobId 3: 1 row", timeMs: 0 } },
    { event: "result", result: { ...none, ok: true } },
  ];
  assert.equal(
    await answer(["rebase jobid=3,99"]),
    "JobId=99 is not in the catalog.\nJobId 3: 1 row\nJobId 3 needs no other Job any more.\n",
  );
  assert.deepEqual(asked("Rebase"), [{ jobIds: [3] }]);
  director.storage.replies.Purge = () => reply([{ jobId: 1, action: "delete" }]);
  assert.ok((await answer(["purge jobs jobid=1"])).endsWith("1 Job purged from catalog.\n"));
  assert.deepEqual([...director.removed], [1]);
  director.storage.replies.Rebase = () => [
    { event: "result", result: { ...none, ok: false, reason: "disk full" } },
  ];
  assert.equal(await answer(["rebase jobid=3"]), "Rebase failed: disk full\n");
});

test("purge volume and client, in Bacula's words", async () => {
  director.storage.replies.Purge = () =>
    reply(
      [
        { jobId: 1, action: "delete" },
        { jobId: 2, action: "delete" },
      ],
      { purgedVolumes: ["Vol-1"] },
    );
  const text = await answer(["purge volume=Vol-1"]);
  assert.ok(
    text.endsWith(
      '2 Jobs on Volume "Vol-1" purged from catalog.\n' +
        'There are no more Jobs associated with Volume "Vol-1". Marking it purged.\n',
    ),
    text,
  );
  director.storage.replies.Purge = () => reply([]);
  director.storage.replies.ListJobs = () => ({ jobs: director.storage.jobs });
  assert.ok(
    (await answer(["purge jobs client=vm2-fd"])).endsWith(
      'Begin purging jobs for Client "vm2-fd"\nNo Jobs found for client vm2-fd to purge from MyCatalog catalog.\n',
    ),
  );
  delete director.storage.replies.ListJobs;
  director.storage.replies.Purge = () => reply([{ jobId: 3, action: "files" }]);
  assert.ok((await answer(["purge files jobid=3"])).endsWith("Files of 1 Job purged from catalog.\n"));
  assert.deepEqual(asked("Purge").at(-1), { jobIds: [3], filesOnly: true, dry: false, rebase: false });
  assert.equal(director.changes.get(3)?.purgedFiles, 1);
});

test("delete: one run unasked, several after a question, runs that store nothing, runs that run", async () => {
  director.storage.replies.Purge = ({ jobIds }) =>
    reply(jobIds.map((jobId: number) => ({ jobId, action: "delete" })));
  const gone = "and associated records deleted from the catalog.\n";
  assert.equal(await answer(["delete jobid=3"]), `JobId=3 ${gone}`);
  director.own.push({ ...recordOf(director.storage.jobs[0]!), jobId: 20, status: "E" as const });
  assert.equal(
    await answer(["delete jobid=1-2,20,77", "yes"]),
    "Are you sure you want to delete 4 JobIds ? (yes/no): yes\nJobId=77 is not in the catalog.\n" +
      `JobId=1 ${gone}JobId=2 ${gone}JobId=20 ${gone}`,
  );
  assert.deepEqual([...director.removed].sort(), [1, 2, 20, 3]);
  director.addLive(4);
  assert.equal(
    await answer(["delete jobid=4 yes"]),
    "JobId 4 waits or runs; end it first:  cancel jobid=4\n",
  );
});

test("delete volume: asks, refused while a run needs it, else gone; delete pool", async () => {
  director.storage.replies.DeleteVolume = () =>
    reply([{ jobId: 1, action: "refused", reason: "has data on Vol-1" }], { refused: true });
  const refused = await answer(["delete volume=Vol-1", "yes"]);
  assert.match(
    refused,
    /Are you sure you want to delete Volume "Vol-1"\? \(yes\/no\): yes\nJobId 1 vm1\.x: has data on Vol-1\n/,
  );
  assert.match(
    refused,
    /vacuum volume=Vol-1 below=100\n[^\n]*purge volume=Vol-1\nand then again: {2}delete volume=Vol-1\nNothing was deleted\.\n$/,
  );
  director.storage.replies.DeleteVolume = () => reply([]);
  assert.ok(
    (await answer(["delete volume=Vol-1 yes"])).endsWith('Volume "Vol-1" deleted from the catalog.\n'),
  );
  director.storage.replies.DeletePool = () => ({
    volumes: [],
    messages: [],
    errors: ["Pool Default has volumes"],
  });
  assert.ok((await answer(["delete pool=Default yes"])).endsWith("Pool Default has volumes\n"));
});

test("a restricted console removes nothing beyond its lists", async () => {
  const limited = director.config.consoles.get("limited")!.commandAcl as string[];
  limited.push("prune", "purge", "delete", "vacuum", "truncate", "update");
  for (const line of [
    ...[
      "prune jobs client=vm1-fd yes",
      "prune jobs all yes",
      "prune expired volume yes",
      "purge jobs client=vm1-fd",
    ],
    ...[
      "purge jobs job=vm2",
      "delete job=vm2 yes",
      "delete client=vm1-fd yes",
      "vacuum",
      "truncate allpools",
    ],
    ...["prune jobs job=vm2 yes", "prune jobs pool=Default yes", "update pool=Default"],
  ]) {
    const text = await answer([line], "limited");
    assert.match(text, /ACL|No Pool resource is defined/, line);
  }
  assert.equal(
    await answer(["purge volume=Vol-1"], "limited").then((text) => text.includes("not found")),
    true,
  );
  assert.ok((await answer(["delete jobid=3 yes"], "limited")).endsWith("JobId=3 is not in the catalog.\n"));
  assert.deepEqual([...asked("Purge"), ...asked("Prune"), ...asked("Vacuum"), ...asked("Truncate")], []);
});
