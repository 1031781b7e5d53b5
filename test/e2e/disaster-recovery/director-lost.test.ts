/** The director's database is lost: it comes back from the storage daemons, with copies, Bases and what is incomplete. */
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { endReport, jobLog, startWriting, untilStatus } from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { SecondStorage } from "../../helpers/second-storage.js";
import { fileOp, randomFiles, runTreeOps } from "../../helpers/tree-ops.js";

describe("the director's database is lost", () => {
  let scenario: Scenario;
  let second: SecondStorage;
  let incomplete = 0;

  before(async () => {
    scenario = await Scenario.create("director-lost", { keepConsole: true });
    const { installation } = scenario;
    second = await SecondStorage.create(installation);
    // Until it is let go.
    const slow = { MaximumBandwidth: "200 kb/s" };
    await scenario.define(
      [
        { name: "ref", level: "Base", pool: "Main" },
        { name: "vm", base: ["ref"], pool: "Main" },
        { name: "slow", pool: "Main", job: slow },
      ],
      [
        { name: "Main", NextPool: "Far", Storage: "File" },
        { name: "Far", Storage: "Second" },
      ],
    );
    await installation.writeResources("copy", {
      Job: [
        {
          ...{ Name: "copy", Type: "Copy", Pool: "Main", SelectionType: "PoolUncopiedJobs" },
          ...{ Storage: "File", Messages: "Standard" },
        },
      ],
    });
    for (const [name, size, seed] of [
      ["ref", 30_000, "same"],
      ["vm", 30_000, "same"],
      ["slow", 400_000, "slow"],
    ] as const) {
      await mkdir(scenario.path(name));
      await runTreeOps(scenario.path(name), randomFiles(15, size, seed));
    }
    await second.start();
    await installation.startAll();
  });

  after(async () => {
    await second?.stop();
    await scenario?.close();
  });

  const loseDatabase = async (): Promise<void> => {
    const { installation } = scenario;
    await installation.kill("director", "SIGKILL");
    for (const end of ["", "-wal", "-shm"])
      await rm(scenario.path("installation", "var", "director", `director.db${end}`), { force: true });
  };

  test("no JobId before every storage daemon has answered", async () => {
    const { installation } = scenario;
    await scenario.backup("ref", "Base");
    await scenario.backup("vm", "Full");
    await runTreeOps(scenario.path("vm"), [fileOp("own", { kind: "random", size: 5000, seed: "own" })]);
    await scenario.backup("vm", "Incremental");
    const copied = await installation.console(["run job=copy yes", "wait", "messages"]);
    assert.equal([...copied.matchAll(/Termination: +Copying OK$/gm)].length, 3, copied);
    incomplete = await startWriting(installation, "slow", {
      volume: scenario.volume("Main-0001"),
      bytes: 400_000,
      words: "level=Full",
    });
    await installation.console([`stop jobid=${incomplete}`, "wait"]);
    await untilStatus(installation, incomplete, "I");
    await loseDatabase();
    await second.stop();
    await installation.start("director");
    await installation.waitReady();
    const refused = await installation.console(["run job=vm level=Full yes"]);
    assert.match(refused, /the director's database is new, and Storage "Second" cannot be asked/);
    assert.doesNotMatch(refused, /Job queued/);
  });

  test("its history is there again: levels, Bases, copies with their originals, what is incomplete", async () => {
    const { installation } = scenario;
    await second.start();
    const report = await scenario.backup("vm", "Incremental");
    assert.ok(report.jobId > incomplete, report.report);
    assert.equal(report.lines.get("Backup Level")?.startsWith("Incremental"), true, report.report);
    const listed = await installation.console(["list jobs", "list copies", "llist jobid=2"]);
    const row = (name: string, rest: string): number =>
      [...listed.matchAll(new RegExp(`^\\| +\\d+ +\\| ${name} +\\|[^|]*\\| ${rest} \\|`, "gm"))].length;
    assert.equal(row("ref", "B +\\| B +"), 1, listed);
    assert.equal(row("vm", "B +\\| F +"), 1, listed);
    assert.equal(row("vm", "C +\\| F +"), 1, listed);
    assert.match(listed, new RegExp(`^\\| +${incomplete} +\\| slow .*\\| I +\\|$`, "m"));
    assert.equal([...listed.matchAll(/^\| +[123] +\| (vm|ref)\.\S+ +\| +\d+ +\|/gm)].length, 3, listed);
    assert.match(listed, /^ *HasBase: 1$/m);
    await scenario.restoresAs("vm", scenario.path("vm"));
  });

  test("the incomplete one goes on under its number", async () => {
    const { installation } = scenario;
    const letGo = "setbandwidth limit=0 client=t-fd";
    await installation.console([letGo, `restart incomplete jobid=${incomplete} yes`, "wait"]);
    const report = await endReport(installation, incomplete);
    assert.equal(report.termination, "Backup OK", report.report);
    assert.match(jobLog(installation, incomplete), /Found \d+ files from prior incomplete Job\./);
    await scenario.restoresAs("slow", scenario.path("slow"));
  });

  test("a storage daemon that is gone for good is waived by disabling it; the copies are lost with it alone", async () => {
    const { installation } = scenario;
    await loseDatabase();
    await second.stop();
    await installation.start("director");
    await installation.waitReady();
    const output = await installation.console([
      "disable storage=Second",
      "run job=vm yes",
      "wait",
      "messages",
    ]);
    assert.match(output, /Termination: +Backup OK$/m);
    await scenario.restoresAs("vm", scenario.path("vm"));
  });
});
