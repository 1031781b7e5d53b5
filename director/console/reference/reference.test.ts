import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../../common/time.js";
import { FakeDirector, NOON, transcript } from "../testing/fake-director.js";
import { setRights } from "../testing/open-console.js";

let director: FakeDirector;

const amount = { entries: 1, bytes: 2 };
const none = { count: 0, packages: [] };
const DRIFT = [
  { event: "progress", progress: { name: "vm1", entries: 5 } },
  {
    event: "drift",
    drift: {
      ...{
        name: "vm1",
        jobId: 2,
        bases: [8],
        packages: "dpkg",
        notes: ["a note"],
        same: amount,
        known: amount,
      },
      ...{ fresh: amount, counts: [{ kind: "package", amount: { entries: 3, bytes: 4_000 } }] },
      updates: { count: 1, packages: [{ name: "a", architecture: "all", version: "1", baseVersion: "2" }] },
      ...{ newer: none, added: none, removed: none },
    },
  },
  {
    event: "entries",
    entries: {
      kind: "package",
      entries: [
        {
          path: Buffer.from("/bin/\x1b[1m\xff", "latin1"),
          size: 7,
          package: "a",
          what: ["content"],
          known: false,
        },
      ],
    },
  },
];

beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
  const run = {
    client: "vm1-fd",
    fileSet: "Full Set",
    status: "T",
    volumes: [],
    bases: [],
    files: {},
    type: "B",
  };
  for (const job of director.storage.jobs) Object.assign(job, { type: "B" });
  director.storage.jobs.push(
    { ...run, jobId: 7, jobName: "ref", level: "Base", startMs: NOON - 9_000_000 },
    { ...run, jobId: 8, jobName: "ref", level: "Base", startMs: NOON - 8_000_000 },
    { ...run, jobId: 9, jobName: "ref", level: "Base", startMs: NOON - 7_000_000, status: "f" },
  );
  const jobs = director.config.jobs as Map<string, object>;
  jobs.set("ref", { ...jobs.get("vm1"), name: "ref", level: "Base", base: [] });
  jobs.set("vm1", { ...jobs.get("vm1"), base: ["vm1", "ref", "gone", "ref"] });
  jobs.set("vm2", { ...jobs.get("vm2"), base: [] });
  director.storage.replies.Drift = () => DRIFT;
  director.storage.replies.Advise = () => [];
});
afterEach(() => setClock());

async function answer(line: string, name = "admin"): Promise<string> {
  const text = await transcript(director, [line], name);
  return text.replace(`${line}\n`, "").replace(/^Automatically selected.*\nUsing Catalog.*\n/, "");
}
const asked = () => director.storage.calls.filter(({ method }) => method === "Drift" || method === "Advise");

test("drift asks for the newest run over the newest Base runs, each once; names are escaped", async () => {
  const text = await answer("reference drift vm=vm1 top=1");
  assert.deepEqual(asked(), [
    { method: "Drift", request: { machine: { name: "vm1", jobId: 2, bases: [8] }, top: 1 } },
  ]);
  assert.equal(
    text,
    `vm1 (JobId 2) over ref (JobId 8)
  Same path and metadata                      1 entry, 2 B
  Same content, a row of its own              1 entry, 2 B
  New content                                 1 entry, 2 B
  Missing updates                             1 package
    a (all) 1, in the Base 2
  Changed package files                       3 entries, 4.000 KB
    /bin/\\033[1m\\377 (a, content, 7 B)
    … and 2 more (top=N names more)
  Warning: Base "gone" stands for no run on Storage "File1"
  Warning: a note
`,
  );
  const found = JSON.parse(await answer("reference drift all json"));
  assert.deepEqual(
    [found.machines[0].bases, found.machines[0].packages[0].count, found.skipped],
    [[{ name: "ref", jobId: 8 }], 1, []],
  );
});

test("what is given badly, or cannot be compared, is told in a line", async () => {
  for (const [line, said] of [
    ["reference", "Usage: reference advise | drift; help reference tells more."],
    ["reference drift job=nobody", 'Job "nobody" not found'],
    ["reference drift job=ref", 'Job "ref" makes a Base itself'],
    ["reference drift job=RestoreFiles", 'Job "RestoreFiles" is no backup'],
    ["reference drift job=vm2", "vm2: its Job names no Base"],
    ["reference drift client=nobody", 'Client "nobody" not found'],
    ["reference drift jobid=x", "Expected a positive integer, got: x"],
    ["reference drift jobid=8", "JobId 8 is no finished backup of a Job that lies over Bases"],
    ["reference drift job=vm1 top=x", "top=x: not a number from 0 to 10000"],
    ["reference advise client=nobody", 'Client "nobody" not found'],
  ] as const)
    assert.equal(await answer(line), `${said}\n`, line);
  assert.deepEqual(asked(), []);
});

test("without a name the Job is asked for: those with a Base", async () => {
  const text = await transcript(director, ["reference drift"]);
  assert.match(text, /Automatically selected Job: vm1\n/);
  assert.equal(asked().length, 1);
});

test("consoles with ACLs compare what they may see; drift wants all directories and users", async () => {
  setRights(director, { directoryAcl: ["/srv/*"] });
  assert.match(await answer("reference drift job=vm1", "op"), /not allowed by this console's ACL\n$/);
  setRights(director, { userIdAcl: ["1000"] });
  assert.match(await answer("reference drift job=vm1", "op"), /not allowed by this console's ACL\n$/);
  setRights(director, { jobAcl: ["vm1"] });
  assert.match(await answer("reference drift job=vm1", "op"), /^vm1: Base "ref" stands for no run/);
  assert.equal(await answer("reference drift job=vm2", "op"), 'Job "vm2" not found\n');
  setRights(director, { catalogAcl: [] });
  assert.match(await answer("reference advise", "op"), /Catalog "MyCatalog": not allowed/);
  assert.deepEqual(asked(), []);
  setRights(director, { jobAcl: ["vm1", "ref"] });
  await answer("reference advise", "op");
  assert.deepEqual(asked(), [
    {
      method: "Advise",
      request: {
        machines: [{ name: "vm1", jobId: 2, bases: [8] }],
        others: [],
        references: [{ name: "ref", jobId: 8 }],
      },
    },
  ]);
});
