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

test("run without yes: summary, a bad answer, mod, no", async () => {
  const text = await transcript(director, ["run job=vm1 level=full", "maybe", "mod", "8", "2", "no"]);
  const summary = (pool: string) =>
    `Run Backup job\nJobName:  vm1\nLevel:    Full\nClient:   vm1-fd\nFileSet:  Full Set\nPool:     ${pool}\n` +
    "Storage:  File1 (From Job resource)\nWhen:     2026-11-21 12:00:00\nPriority: 10\n";
  assert.equal(
    text,
    `run job=vm1 level=full\n${CATALOG}${summary("Default (From Job resource)")}` +
      "OK to run? (yes/mod/no): maybe\nBad response: maybe. You must answer yes, mod, or no.\n" +
      "OK to run? (yes/mod/no): mod\nParameters to modify:\n     1: Level\n     2: Storage\n     3: Job\n     4: FileSet\n" +
      "     5: Client\n     6: When\n     7: Priority\n     8: Pool\n     9: Plugin Options\n" +
      "Select parameter to modify (1-9): 8\nThe defined Pool resources are:\n     1: Default\n     2: Archive\n" +
      `Select Pool resource (1-2): 2\n${summary("Archive (From User input)")}OK to run? (yes/mod/no): no\nJob not run.\n`,
  );
  assert.deepEqual(director.ran, []);
});

test("run with yes queues and goes on; a bad level does not", async () => {
  const text = await transcript(director, [
    "run yes priority=5 job=vm1 level=FULL",
    "run job=vm1 level=Foo yes",
  ]);
  assert.ok(
    text.endsWith('Job queued. JobId=11\nrun job=vm1 level=Foo yes\nLevel "Foo" not valid.\nJob not run.\n'),
    text,
  );
  assert.deepEqual(director.ran, [{ job: "vm1", level: "Full", priority: 5 }]);
});

test("an unknown name is told and asked for; `.` abandons the command", async () => {
  const text = await transcript(director, ["run job=nosuch yes", "x", "9", "."]);
  assert.equal(
    text,
    `run job=nosuch yes\n${CATALOG}Job "nosuch" not found\nThe defined Job resources are:\n     1: vm1\n     2: vm2\n     3: RestoreFiles\n` +
      "Select Job resource (1-3): x\nExpected a positive integer, got: x\nSelect Job resource (1-3): 9\n" +
      "Please enter a number between 1 and 3\nSelect Job resource (1-3): .\nSelection aborted, nothing done.\n",
  );
});

test("messages: announced once per batch, shown and removed by messages", async () => {
  director.box.push("21-Nov 12:00 test-dir JobId 1: one");
  const text = await transcript(director, ["time", "version", "messages", "messages"]);
  assert.match(
    text,
    /^time\nSat 21-Nov-2026 12:00:00\nYou have messages\.\nversion\ntest-dir Version: [^\n]+\nmessages\n/,
  );
  assert.ok(text.endsWith("JobId 1: one\nmessages\nYou have no messages.\n"), text);
});

test("label asks for the pool of two, and for a new name when the volume exists", async () => {
  const text = await transcript(director, ["label storage=File1 volume=Vol-1", "2", "V2", "1"]);
  assert.equal(
    text,
    `label storage=File1 volume=Vol-1\n${CATALOG}Defined Pools:\n     1: Archive\n     2: Default\nSelect the Pool (1-2): 2\n` +
      "Connecting to Storage daemon File1 at 127.0.0.1:9103 ...\n" +
      'Sending label command for Volume "Vol-1" Slot 0 ...\nMedia record for new Volume "Vol-1" already exists.\n' +
      "Enter new Volume name: V2\nDefined Pools:\n     1: Archive\n     2: Default\nSelect the Pool (1-2): 1\n" +
      "Connecting to Storage daemon File1 at 127.0.0.1:9103 ...\n" +
      'Sending label command for Volume "V2" Slot 0 ...\n' +
      '3000 OK label. VolBytes=220 Volume="V2" Device="FileStorage" (/srv/volumes)\n' +
      'Catalog record for Volume "V2", Slot 0  successfully created.\nRequesting to mount FileStorage ...\n' +
      '3906 File device "FileStorage" (/srv/volumes) is always mounted.\n',
  );
});

test("unknown, comment, empty and not yet available commands", async () => {
  const text = await transcript(director, ["foo bar", "# a comment", "", "  ", "prune jobs yes"].slice(0, 2));
  assert.equal(text, "foo bar\nfoo: is an invalid command.\n# a comment\n#: is an invalid command.\n");
  assert.equal(
    await transcript(director, ["stop jobid=1"]),
    "stop jobid=1\nWarning Job JobId=1 is not running.\n",
  );
});

test("list jobs, one job, volumes per pool, pools by columns", async () => {
  const text = await transcript(director, [
    "list jobs",
    "list jobid=2",
    "list volumes",
    "list pools",
    "list copies",
    "list jobid=9",
  ]);
  assert.match(
    text,
    /\| JobId \| Name \| StartTime {11}\| Type \| Level \| JobFiles \| JobBytes \| JobStatus \|/,
  );
  assert.match(text, /\| 2 {5}\| vm1 {2}\| 2026-11-21 11:00:00 \| B {4}\| I {5}\| 1 {8}\| 11 {7}\| T/);
  assert.match(text, /Pool: Archive\nNo results to list\.\nPool: Default\n\+/);
  const pool = text.split("\n").find((line) => line.startsWith("| 2      | Default"));
  assert.equal(pool?.split(/\s+/)[5], "1");
  assert.ok(text.endsWith("list copies\nlist jobid=9\nNo results to list.\n"), text);
});

test("wait with nothing running prints nothing; for a job its status", async () => {
  assert.equal(await transcript(director, ["wait"]), "wait\n");
  assert.ok((await transcript(director, ["wait jobid=2"])).endsWith("JobId=2\nJobStatus=OK (T)\n"));
});

test("status: the line that scripts compare, for all three daemons", async () => {
  for (const command of ["status dir", "status client=vm1-fd", "status storage=File1", "st all"]) {
    const text = await transcript(director, [command]);
    assert.match(text, /\nNo Jobs running\.\n====\n/, command);
    assert.match(text, /\nTerminated Jobs:\n/, command);
    assert.ok(!text.includes(" READ "));
  }
  director.addLive(4);
  const text = await transcript(director, ["status dir"]);
  assert.match(text, / {5}4 {2}Back Full +0 +0 {3}vm1 +is running\n====/);
  assert.ok(!text.includes("No Jobs running"));
});

test("cancel: none, the only one, a list with confirmation, a number that does not run", async () => {
  assert.ok((await transcript(director, ["cancel"])).endsWith("No Jobs running.\n"));
  director.addLive(4);
  director.addLive(5);
  director.addLive(6);
  const text = await transcript(director, ["cancel", "1,3", "yes", "cancel jobid=99"]);
  assert.match(
    text,
    /Choose Job list to cancel \(1-3\): 1,3\nJobId=.*\nJobId=.*\nConfirm cancel of 2 Jobs \(yes\/no\): yes\n/,
  );
  assert.ok(text.endsWith("cancel jobid=99\nWarning Job JobId=99 is not running.\n"), text);
  assert.deepEqual(director.canceled, [4, 6]);
});

test("a console sees and does only what its resource grants", async () => {
  const list = await transcript(director, ["list jobs"], "limited");
  assert.ok(!list.includes("vm2") && list.includes("vm1"), list);
  assert.ok(
    (await transcript(director, ["reload"], "limited")).endsWith(
      "reload: is not allowed for this console.\n",
    ),
  );
  const run = await transcript(director, ["run job=vm1 yes"], "limited");
  assert.match(run, /FileSet "Full Set": not allowed by this console's ACL/);
  assert.deepEqual(director.ran, []);
});

test(".api json: one object per command with the same data", async () => {
  const text = await transcript(director, [
    ".api json",
    "list jobid=2",
    "foo",
    "run job=vm1 yes",
    ".api text",
    "time",
  ]);
  const lines = text.split("\n");
  const listed = JSON.parse(lines[lines.indexOf("list jobid=2") + 1]!);
  assert.equal(listed.command, "list");
  assert.equal(listed.ok, true);
  assert.equal(listed.data.jobs[0].JobId, 2);
  assert.deepEqual(JSON.parse(lines[lines.indexOf("foo") + 1]!).ok, false);
  assert.equal(JSON.parse(lines[lines.indexOf("run job=vm1 yes") + 1]!).data.jobId, 11);
  assert.ok(text.endsWith("time\nSat 21-Nov-2026 12:00:00\n"));
});

test("reload, enable and disable, show", async () => {
  assert.equal(await transcript(director, ["reload"]), "reload\n");
  director.reloadErrors = ["/etc/x.yaml:3:1: unknown directive"];
  assert.match(
    await transcript(director, ["reload"]),
    /x\.yaml:3:1: unknown directive\nPlease correct the configuration file/,
  );
  assert.ok((await transcript(director, ["disable client=vm1-fd"])).endsWith('Client "vm1-fd" disabled\n'));
  assert.match(
    await transcript(director, ["show client=vm1-fd"]),
    /Client: name=vm1-fd Enabled=0 Address=127\.0\.0\.1/,
  );
  assert.match(await transcript(director, ["show pools"]), /^show pools\nPool: name=Default PoolType=Backup/);
});

test("an interrupt ends a wait; the next line is a command again", async () => {
  director.addLive(4);
  const outputs: string[] = [];
  const { runSession } = await import("./session.js");
  const { createLog } = await import("../../common/log.js");
  let go: () => void = () => undefined;
  const started = new Promise<void>((resolve) => {
    go = resolve;
  });
  const original = director.queue.waitIdle;
  director.queue.waitIdle = (signal) => {
    go();
    return original(signal);
  };
  async function* incoming() {
    yield { line: "wait" };
    await started;
    yield { interrupt: true };
    yield { line: "quit" };
  }
  await runSession({
    incoming: incoming(),
    peer: { name: "admin" },
    director,
    log: createLog("test", { level: "silent" }),
    send: async (output) => void outputs.push(Object.keys(output)[0]!),
  });
  assert.deepEqual(outputs.slice(-2), ["ready", "quit"]);
});
