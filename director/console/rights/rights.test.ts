/**
 * For each ACL: a console that is granted everything but one thing of that kind never meets its name, whatever it
 * types, and starts nothing with it.
 */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../../common/time.js";
import type { ConsoleResource } from "../../config/types-console.js";
import { COMMANDS, DOT_COMMANDS } from "../commands.js";
import { completeLine } from "../complete.js";
import { FakeDirector, NOON, transcript } from "../testing/fake-director.js";
import { setRights } from "../testing/open-console.js";

/** In every name that must not be seen. */
const SECRET = /hidden/i;

let director: FakeDirector;
beforeEach(() => {
  setClock(() => NOON);
  director = new FakeDirector();
});
afterEach(() => setClock());

type Maps = "jobs" | "clients" | "fileSets" | "schedules" | "storages" | "pools";

/** Adds a copy of a resource under another name. */
function addTwin(kind: Maps, name: string, twin: string, changes: object = {}): void {
  const map = director.config[kind] as Map<string, object>;
  map.set(twin, { ...map.get(name)!, name: twin, ...changes });
}

/** A run of its own whose one attribute is hidden; its number is 7. */
function hiddenRun(changes: object): void {
  director.storage.jobs.push({
    ...{ jobId: 7, jobName: "vm1", client: "vm1-fd", fileSet: "Full Set", level: "Full", status: "T" },
    ...{ startMs: NOON - 60_000, volumes: ["Vol-1"], bases: [], files: { "/srv/": 0, "/srv/hidden.txt": 1 } },
    ...changes,
  });
}

/** Everything that could tell of it, with answers that lead out of questions. */
function lines(kind: string, name: string): string[] {
  const about = `${kind}="${name}"`;
  return [
    ...[
      "list jobs",
      "llist jobs",
      "list jobid=7",
      "llist jobid=7",
      `list jobs ${about}`,
      `llist jobs ${about}`,
    ],
    ...["list files jobid=7", "list basefiles jobid=7", "list basejobs jobid=7", "list joblog jobid=7"],
    ...["list jobtotals", "list dependants jobid=1", "list jobmedia jobid=7", "list copies", "list volumes"],
    ...["llist volumes", "list pools", "llist pools", "list clients", "llist clients", "list jobs limit=2"],
    ...[
      `list nextvol ${about}`,
      ".",
      "status dir",
      "status all",
      "status schedule days=9",
      `status ${about}`,
      ".",
    ],
    ...[
      "show all",
      "show disabled",
      `show ${about}`,
      `show jobs`,
      `show pools`,
      "wait jobid=7",
      `.defaults ${about}`,
    ],
    ...[
      ".jobs",
      ".clients",
      ".filesets",
      ".pools",
      ".storage",
      ".schedule",
      ".media",
      ".msgs",
      ".mediatypes",
    ],
    ...[
      ".status dir current",
      ".status dir last",
      ".status dir scheduled",
      ".status dir terminated",
      "messages",
    ],
    ...[
      "restore select all done",
      ".",
      "restore jobid=7 all done yes",
      "restore jobid=7",
      "quit",
      "restore",
      "1",
      "2",
    ],
    ...["1", "hidden.txt", "."],
    ...[
      "cancel",
      ".",
      `cancel jobid=9`,
      `delete jobid=7 yes`,
      `prune jobs ${about} dry`,
      ".",
      "estimate",
      ".",
    ],
    ...[`run ${about}`, ".", "run job=vm1", "mod", "8", ".", `estimate job=vm1 ${about}`, "."],
    ...[`enable ${about}`, ".", `disable ${about}`, ".", `label storage=File1 volume=V9 ${about}`, "."],
    ...[`update volume=Vol-1 ${about}`, "help", ".help", "use", "version"],
  ];
}

/** What was printed, without the lines that were typed. */
async function seen(kind: string, name: string): Promise<string> {
  const typed = lines(kind, name);
  let text = await transcript(director, typed, "op");
  for (const line of typed) text = text.replace(`${line}\n`, "\n");
  // A name that was typed may be repeated: `Job "x" not found`.
  return text.replaceAll(`"${name}" not found`, "").replaceAll(`"${name}": not allowed`, "");
}

function assertHidden(text: string): void {
  const at = SECRET.exec(text)?.index;
  if (at !== undefined) assert.fail(`told: …${text.slice(Math.max(0, at - 300), at + 120)}…`);
}

function completions(kind: string): string[] {
  return [`list ${kind}=`, `run ${kind}=`, `restore ${kind}=`, `status ${kind}=`, "cancel jobid="].flatMap(
    (line) => completeLine(director, line, "op").candidates,
  );
}

const CASES: readonly {
  acl: keyof ConsoleResource;
  kind: string;
  name: string;
  granted: readonly string[];
  prepare: () => void;
}[] = [
  {
    ...{ acl: "jobAcl", kind: "job", name: "hidden-job", granted: ["vm1", "vm2", "RestoreFiles"] },
    prepare: () => {
      addTwin("jobs", "vm1", "hidden-job");
      hiddenRun({ jobName: "hidden-job" });
      director.addLive(9, "running", "hidden-job");
      director.box.push(
        "21-Nov 12:00 test-dir JobId 7: hidden message",
        "21-Nov 12:00 test-dir JobId 0: of hidden",
      );
    },
  },
  {
    ...{ acl: "clientAcl", kind: "client", name: "hidden-fd", granted: ["vm1-fd", "vm2-fd"] },
    prepare: () => {
      addTwin("clients", "vm1-fd", "hidden-fd", { address: "hidden.example.org" });
      addTwin("jobs", "vm1", "vm9", { client: "hidden-fd" });
      hiddenRun({ jobName: "vm9", client: "hidden-fd" });
      director.addLive(9, "running", "vm9");
      director.box.push("21-Nov 12:00 test-dir JobId 7: hidden message");
    },
  },
  {
    ...{ acl: "fileSetAcl", kind: "fileset", name: "Hidden Set", granted: ["Full Set", "Small Set"] },
    prepare: () => {
      addTwin("fileSets", "Full Set", "Hidden Set");
      addTwin("jobs", "vm1", "vm9", { fileSet: "Hidden Set" });
      hiddenRun({ fileSet: "Hidden Set" });
    },
  },
  {
    ...{ acl: "poolAcl", kind: "pool", name: "Hidden-Pool", granted: ["Default", "Archive"] },
    prepare: () => {
      addTwin("pools", "Default", "Hidden-Pool");
      addTwin("pools", "Default", "Default", { nextPool: "Hidden-Pool", scratchPool: "Hidden-Pool" });
      addTwin("jobs", "vm1", "vm9", { pool: "Hidden-Pool" });
      director.storage.volumes.push({ name: "hidden-vol", pool: "Hidden-Pool" });
      hiddenRun({ pool: "Hidden-Pool", volumes: ["hidden-vol"], files: { "/srv/": 0 } });
    },
  },
  {
    ...{ acl: "storageAcl", kind: "storage", name: "hidden-sd", granted: ["File1"] },
    prepare: () => {
      addTwin("storages", "File1", "hidden-sd", { address: "hidden.example.org", mediaType: "hidden-media" });
      addTwin("jobs", "vm1", "vm9", { storage: "hidden-sd" });
    },
  },
  {
    ...{ acl: "scheduleAcl", kind: "schedule", name: "Hidden-Nights", granted: ["Nightly"] },
    prepare: () => {
      addTwin("schedules", "Nightly", "Hidden-Nights");
      addTwin("jobs", "vm1", "vm9", { schedule: "Hidden-Nights" });
      const upcoming = director.upcoming();
      director.upcoming = () => upcoming.map((run) => ({ ...run, schedule: "Hidden-Nights" }));
    },
  },
];

for (const { acl, kind, name, granted, prepare } of CASES) {
  test(`${acl}: what is not granted is nowhere to be read, and nothing is started with it`, async () => {
    prepare();
    setRights(director, {});
    const open = await seen(kind, name);
    assert.match(open, SECRET, "the test sees it when it is granted");
    assert.ok(completions(kind).some((each) => SECRET.test(each)));
    director.ran.length = 0;
    director.canceled.length = 0;
    director.storage.calls.length = 0;
    setRights(director, { [acl]: granted });
    assertHidden(await seen(kind, name));
    assertHidden(completions(kind).join("\n"));
    assertHidden(JSON.stringify(director.ran));
    assert.deepEqual(director.canceled, []);
    assert.ok(!director.removed.has(7) || kind === "storage" || kind === "schedule" || kind === "pool");
    const changes = director.storage.calls.filter(({ method }) =>
      ["Label", "UpdateVolume", "Purge"].includes(method),
    );
    assertHidden(JSON.stringify(changes));
    // Exceptions count the same, whatever else is granted.
    setRights(director, { [acl]: ["*all*", `!${name}`] });
    assertHidden(await seen(kind, name));
    setRights(director, { [acl]: [] });
    assertHidden(await seen(kind, name));
  });
}

test("JSON answers hide the same", async () => {
  CASES[0]!.prepare();
  setRights(director, { jobAcl: ["vm1"] });
  const text = await transcript(
    director,
    [".api json", "status dir", "list jobs", "messages", ".jobs"],
    "op",
  );
  assertHidden(text);
  assert.ok(text.includes('"vm1"'));
});

test("CommandACL: a command that is not granted does nothing but say so; leaving is always allowed", async () => {
  for (const { name } of [...COMMANDS, ...DOT_COMMANDS]) {
    if (/^\.?(quit|exit)$/.test(name)) continue;
    setRights(director, {
      commandAcl: [...COMMANDS, ...DOT_COMMANDS].map((each) => each.name).filter((each) => each !== name),
    });
    const text = await transcript(director, [`${name} job=vm1 jobid=1 yes all`], "op");
    assert.ok(text.endsWith(`${name}: is not allowed for this console.\n`), text);
    assert.ok(!completeLine(director, name.slice(0, -1), "op").candidates.includes(name), name);
    assert.deepEqual(completeLine(director, `${name} jo`, "op").candidates, []);
  }
  assert.deepEqual(director.ran, []);
  setRights(director, { directoryAcl: ["/srv"] });
  assert.match(await transcript(director, ["sqlquery"], "op"), /sqlquery: is not allowed for this console/);
  setRights(director, { commandAcl: ["!list", "*all*"] });
  assert.match(await transcript(director, ["list jobs"], "op"), /list: is not allowed for this console/);
  assert.match(await transcript(director, ["time"], "op"), /2026/);
  setRights(director, { commandAcl: [] });
  assert.equal(await transcript(director, ["quit"], "op"), "quit\n");
  assert.deepEqual(completeLine(director, "", "op").candidates, ["exit", "quit"]);
});

test("CatalogACL: without it nothing of a catalog is read or changed", async () => {
  setRights(director, { catalogAcl: ["Other"] });
  for (const line of [
    ...[
      "list jobs",
      "list volumes",
      "list files jobid=1",
      "restore select all done",
      "restore",
      "run job=vm1 yes",
    ],
    ...[
      "label volume=V storage=File1 pool=Default",
      "delete jobid=1",
      "prune jobs all yes",
      "purge jobs jobid=1",
    ],
    ...[
      "update pool=Default",
      "estimate job=vm1",
      "use",
      ".media",
      "truncate allpools",
      "vacuum",
      "rebase jobid=1",
    ],
  ]) {
    const text = await transcript(director, [line], "op");
    assert.match(text, /Catalog "MyCatalog": not allowed by this console's ACL\n$/, line);
  }
  assert.equal(await transcript(director, [".catalogs"], "op"), ".catalogs\n");
  assert.deepEqual(director.ran, []);
  assert.deepEqual(director.storage.calls, []);
});
