/** A client that hangs, one that is away, a storage daemon that restarts: their jobs are dealt with, others go on. */
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { ConsoleSession } from "../../helpers/console-session.js";
import { MoreClients } from "../../helpers/more-clients.js";
import {
  endReport,
  jobLog,
  jobStatus,
  startJob,
  startWriting,
  until,
  untilStatus,
} from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { SecondStorage } from "../../helpers/second-storage.js";
import { randomFiles, runProgram, runTreeOps } from "../../helpers/tree-ops.js";

const [HUNG, AWAY, LATE] = [0, 1, 2];
const WHOLE = { AllowIncompleteJobs: "no" };
const TRY_AGAIN = { RescheduleOnError: "yes", RescheduleInterval: "2 seconds", RescheduleTimes: 1000 };

describe("fleet", () => {
  let scenario: Scenario;
  let clients: MoreClients;
  let second: SecondStorage;

  before(async () => {
    scenario = await Scenario.create("fleet", { keepConsole: true });
    const { installation } = scenario;
    second = await SecondStorage.create(installation);
    clients = await MoreClients.create(installation, { count: 3 });
    await installation.editConfig("director", (text) =>
      text.replace(/^( +)MaximumConcurrentJobs: 20$/m, "$&\n$1FDConnectTimeout: 8 seconds"),
    );
    const root = scenario.path("tree");
    await mkdir(root);
    await runTreeOps(root, randomFiles(20, 300_000, "fleet"));
    const stuck = scenario.path("stuck");
    await mkdir(stuck);
    await runTreeOps(stuck, randomFiles(20, 300_000, "fleet"));
    const client = (number: number) => ({ Client: clients.name(number) });
    const slow = { ...client(HUNG), Storage: "Second", ReadLimit: "1 mb/s", ...WHOLE, ...TRY_AGAIN };
    await scenario.define(
      [
        { name: "good", root },
        { name: "hung", root, job: client(HUNG) },
        { name: "stuck", options: { ReadFifo: "yes" }, pool: "Stuck", job: { ...client(HUNG), ...WHOLE } },
        { name: "away", root, job: client(AWAY) },
        { name: "late", root, job: { ...client(LATE), ...TRY_AGAIN } },
        { name: "cut", root, pool: "Far", job: slow },
      ],
      [{ name: "Far", Storage: "Second" }, { name: "Stuck" }],
    );
    await second.start();
    await clients.start(HUNG);
    await installation.startAll();
  });

  after(async () => {
    await clients?.stop();
    await second?.stop();
    await scenario?.close();
  });

  // A test that fails must not take the others with it.
  afterEach(() => clients.signal(HUNG, "SIGCONT"));

  const start = (job: string): Promise<number> => startJob(scenario.installation, job, "level=Full");
  const errors = (jobId: number): string[] =>
    jobLog(scenario.installation, jobId)
      .split("\n")
      .filter((line) => /Fatal error: /.test(line));

  test("a client that hangs and one that is away fail in words; a good one's job runs meanwhile", async () => {
    const { installation } = scenario;
    clients.signal(HUNG, "SIGSTOP");
    const [hung, away] = [await start("hung"), await start("away")];
    const good = await scenario.backup("good", "Full");
    assert.equal(good.termination, "Backup OK");
    const shown = await installation.console(["status dir"]);
    assert.match(shown, /is waiting on Client client-[01]|Termination|Error/);
    for (const [jobId, name] of [
      [hung, "client-0"],
      [away, "client-1"],
    ] as const) {
      await untilStatus(installation, jobId, "Ef");
      assert.equal((await endReport(installation, jobId)).termination, "*** Backup Error ***");
      assert.equal(errors(jobId).length, 1, errors(jobId).join("\n"));
      assert.match(errors(jobId)[0]!, new RegExp(`Unable to connect to Client: ${name} `));
    }
    clients.signal(HUNG, "SIGCONT");
    await scenario.untilAnswering(clients.name(HUNG));
    assert.equal((await installation.runJob("hung", { level: "Full" })).termination, "Backup OK");
  });

  /** A job that has sent most of its files, and waits for a pipe that nobody writes to. */
  const startStuck = (): Promise<number> =>
    startWriting(scenario.installation, "stuck", {
      ...{ volume: scenario.path("installation", "storage", "Stuck-0001"), bytes: 300_000 },
      words: "level=Full",
    });
  const ended = (jobId: number): Promise<string> =>
    until(
      `JobId ${jobId} has ended`,
      () => {
        const status = jobStatus(scenario.installation, jobId) ?? "C";
        return "CR".includes(status) ? undefined : status;
      },
      // A connection on which nothing is heard is given up after half a minute.
      180_000,
    );

  test("a client that hangs in the middle of a job fails that job in words, or is canceled; others go on", async () => {
    const { installation } = scenario;
    await runProgram("mkfifo", [scenario.path("stuck", "zz-pipe")]);
    const silent = await startStuck();
    clients.signal(HUNG, "SIGSTOP");
    const good = await scenario.backup("good", "Full");
    assert.equal(good.termination, "Backup OK");
    assert.match(await ended(silent), /[Ef]/);
    assert.equal((await endReport(installation, silent)).termination, "*** Backup Error ***");
    assert.ok(errors(silent).length >= 1, jobLog(installation, silent));
    clients.signal(HUNG, "SIGCONT");
    await scenario.untilAnswering(clients.name(HUNG));

    const canceled = await startStuck();
    // Open already: it would be given up while a console starts on a busy machine.
    const console = new ConsoleSession(join(installation.dir, "console.yaml"));
    console.send("version");
    await console.waitFor(/^t-dir Version: /m);
    clients.signal(HUNG, "SIGSTOP");
    console.send(`cancel jobid=${canceled} yes`);
    await console.waitFor(/marked to be canceled/);
    await console.close();
    assert.equal(await ended(canceled), "A");
    assert.match(await installation.console(["status dir"]), /^No Jobs running\.$/m);
    clients.signal(HUNG, "SIGCONT");
    await scenario.untilAnswering(clients.name(HUNG));

    await rm(scenario.path("stuck", "zz-pipe"));
    await scenario.backup("stuck", "Full");
    await scenario.restoresAs("stuck", scenario.path("stuck"), { client: clients.name(HUNG) });
  });

  test("status network has the storage daemon and a client measure the line between them", async () => {
    const client = clients.name(HUNG);
    const ask = (words: string) =>
      scenario.installation.console([`status network client=${client} storage=File ${words}`]);
    const text = await ask("bytes=3MB rtt=5");
    const line = (about: string) => new RegExp(`^2000 OK ${about} duration=\\d+ms \\w+=[\\d.]+ ?\\w`, "m");
    assert.match(text, line("FD wrote bytes=3000000 to SD"));
    assert.match(text, line("FD read bytes=3000000 from SD"));
    assert.match(text, line("packets=5"));
    clients.signal(HUNG, "SIGSTOP");
    const silent = await ask("");
    clients.signal(HUNG, "SIGCONT");
    assert.doesNotMatch(silent, /2000 OK/);
    assert.match(silent, new RegExp(`Client: ${client} `));
  });

  test("a client that comes back is tried again until its job is done", async () => {
    const { installation } = scenario;
    const jobId = await start("late");
    await until("the job is to be tried again", () =>
      /Rescheduled Job late\..* to re-run in 2 seconds/.test(jobLog(installation, jobId)),
    );
    await clients.start(LATE);
    await installation.console(["wait"]);
    const listed = await installation.console(["list jobs job=late"]);
    assert.equal([...listed.matchAll(/^\| .*\| T +\|$/gm)].length, 1, listed);
  });

  test("a storage daemon that restarts costs its own job a second try, no other anything", async () => {
    const { installation } = scenario;
    const volume = scenario.path("installation", "storage2", "Far-0001");
    const jobId = await startWriting(installation, "cut", { volume, bytes: 300_000, words: "level=Full" });
    // It stays in the middle of its work however long the rest takes.
    clients.signal(HUNG, "SIGSTOP");
    const beside = await start("good");
    await second.stop();
    clients.signal(HUNG, "SIGCONT");
    await untilStatus(installation, beside, "T");
    await untilStatus(installation, jobId, "EfA");
    assert.match(jobLog(installation, jobId), /[Ss]torage/);
    await second.start();
    await installation.console(["wait"]);
    const listed = await installation.console(["list jobs job=cut"]);
    assert.equal([...listed.matchAll(/^\| .*\| T +\|$/gm)].length, 1, listed);
    assert.notEqual(jobStatus(installation, jobId), "T");
    await scenario.restoresAs("cut", scenario.path("tree"), {
      ...{ client: clients.name(HUNG), words: "storage=Second" },
    });
  });
});
