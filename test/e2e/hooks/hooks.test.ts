/** Commands around jobs, on the director and on the client. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { endReport, startJob, until, writeScript } from "../../helpers/running.js";
import { type Machine, Scenario } from "../../helpers/scenario.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";

/** A FileSet whose name a shell would take apart. */
const ODD_NAME = "odd $HOME  set";
/** The same as a word of the command itself, with every kind of quote in it. */
const ODD_WORD = `it's "quoted" \\ $(id); *`;

describe("hooks", () => {
  let scenario: Scenario;
  let trace: string;

  before(async () => {
    scenario = await Scenario.create("hooks");
    trace = scenario.path("trace");
    const hooks = join(scenario.installation.dir, "hooks");
    const say = [`echo "$@" >> ${trace}`, `printf 'said:'; printf ' [%s]' "$@"; echo`];
    for (const dir of [scenario.dir, hooks]) {
      await writeScript(join(dir, "say"), say);
      await writeScript(join(dir, "fail"), [...say, "exit 3"]);
    }
    await writeScript(join(hooks, "outcome"), [`echo "client $BASALT_JOB_OUTCOME" >> ${trace}`]);
    await writeScript(join(hooks, "hang"), [
      `sleep 600 & echo $! > ${scenario.path("pids")}`,
      `echo $$ >> ${scenario.path("pids")}`,
      "sleep 600",
    ]);
    await writeScript(join(hooks, "open-to-all"), ["true"]);
    await chmod(join(hooks, "open-to-all"), 0o777);
    await symlink("/bin/true", join(hooks, "leads-away"));
    await mkdir(scenario.path("tree"));
    await runTreeOps(scenario.path("tree"), [fileOp("file", { kind: "text", size: 5000 })]);
    await scenario.define(machines());
    await scenario.installation.writeResources("odd", {
      FileSet: [{ Name: ODD_NAME, Include: { Root: scenario.path("tree"), File: ["/"] } }],
    });
    await scenario.installation.startAll();
  });
  after(() => scenario?.close());

  function machines(): Machine[] {
    const own = (words: string): string => `${scenario.path("say")} ${words}`;
    const after = {
      ClientRunAfterJob: "outcome",
      RunAfterJob: own("after %e"),
      RunAfterFailedJob: own("failed %e"),
    };
    const lenient = (Command: string, more: object = {}): object => ({
      Command,
      RunsWhen: "Before",
      RunsOnClient: true,
      FailJobOnError: false,
      ...more,
    });
    const jobs: Record<string, Record<string, unknown>> = {
      codes: {
        FileSet: ODD_NAME,
        RunBeforeJob: own("director-before %i %n %l %c %d %t %p %w %f %%"),
        ClientRunBeforeJob: `say client-before %i %j '%f' "it's \\"quoted\\" \\\\ $(id); *" two\\ words`,
        ClientRunAfterJob: "say client-after %i",
        RunAfterJob: own("director-after %i %e %F %v"),
        RunAfterFailedJob: own("director-failed"),
      },
      "director-fails": { ...after, RunBeforeJob: `${scenario.path("fail")} before` },
      "client-fails": { ...after, ClientRunBeforeJob: "fail before" },
      lenient: { ...after, RunScript: [lenient("fail before")] },
      hanging: { ...after, RunScript: [lenient("hang", { TimeLimit: "5 seconds" })] },
      forbidden: {
        RunScript: ["/bin/true", "leads-away", "open-to-all", "../hooks/say", "nowhere"].map((name) =>
          lenient(name),
        ),
      },
      canceled: { ...after, ClientRunBeforeJob: "hang" },
    };
    return Object.entries(jobs).map(([name, job]) => ({ name, job, root: scenario.path("tree") }));
  }

  /** What the hooks have noted since this was last asked. */
  async function noted(): Promise<string[]> {
    const text = existsSync(trace) ? readFileSync(trace, "utf8") : "";
    await rm(trace, { force: true });
    return text.trimEnd().split("\n");
  }

  const alive = (pid: number): boolean => {
    try {
      return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return false;
    }
  };
  const pids = (): number[] => readFileSync(scenario.path("pids"), "utf8").trim().split("\n").map(Number);

  test("order, codes, words, and output in the job's messages", async () => {
    const { jobId, report } = await scenario.backup("codes", "Full");
    const id = String(jobId);
    const job = /Job=(codes\.\S+)/.exec(report)?.[1];
    assert.deepEqual(await noted(), [
      `director-before ${id} codes Full t-fd t-dir Backup Default File ${ODD_NAME} %`,
      `client-before ${id} ${job} ${ODD_NAME} ${ODD_WORD} two words`,
      `client-after ${id}`,
      `director-after ${id} OK 2 Vol-0001`,
    ]);
    const lines = [
      /t-dir JobId \d+: shell command: run BeforeJob ".*say director-before /,
      /t-dir JobId \d+: BeforeJob: said: \[director-before\] .* \[%\]$/m,
      /t-fd JobId \d+: shell command: run ClientRunBeforeJob "say client-before /,
      /t-fd JobId \d+: ClientRunAfterJob: said: \[client-after\]/,
      /t-dir JobId \d+: AfterJob: said: \[director-after\]/,
    ];
    for (const line of lines) assert.match(report, line);
    for (const hook of ["BeforeJob: said: ", "ClientRunBeforeJob: said: "]) {
      const said = report.split("\n").find((line) => line.includes(hook)) ?? "";
      assert.ok(said.includes(`[${ODD_NAME}]`), said);
    }
    assert.ok(report.includes(`[${ODD_WORD}] [two words]\n`), report);
  });

  test("a Before command that fails ends the job; the After commands run", async () => {
    const director = await scenario.backup("director-fails", "Full", "*** Backup Error ***");
    assert.match(
      director.report,
      /Error: Runscript: BeforeJob returned non-zero status=3\. ERR=Child exited with code 3/,
    );
    assert.deepEqual(await noted(), ["before", "failed Error"]);
    const client = await scenario.backup("client-fails", "Full", "*** Backup Error ***");
    assert.match(
      client.report,
      /t-fd JobId \d+: Error: Runscript: ClientRunBeforeJob returned non-zero status=3\./,
    );
    assert.deepEqual(await noted(), ["before", "client failed", "failed Error"]);
  });

  test("with FailJobOnError: no it is a warning", async () => {
    const { report } = await scenario.backup("lenient", "Full", "Backup OK -- with warnings");
    assert.match(report, /Runscript: ClientRunBeforeJob returned non-zero status=3/);
    assert.deepEqual(await noted(), ["before", "client ok", "after OK -- with warnings"]);
  });

  test("a command that takes too long is killed with all that it started", async () => {
    const { report } = await scenario.backup("hanging", "Full", "Backup OK -- with warnings");
    assert.match(report, /ERR=Child did not end within 5 seconds and was killed/);
    assert.deepEqual(pids().filter(alive), []);
    assert.deepEqual(await noted(), ["client ok", "after OK -- with warnings"]);
  });

  test("filed runs nothing but what its own configuration allows", async () => {
    const { report } = await scenario.backup("forbidden", "Full", "Backup OK -- with warnings");
    const refusals = [...report.matchAll(/the file daemon does not run (\S+): (.*)/g)].map(
      ([, ...found]) => found,
    );
    assert.equal(refusals.length, 5, report);
    const reasons = new Map(refusals as [string, string][]);
    assert.match(reasons.get("/bin/true") ?? "", /outside of .*hooks/);
    assert.match(reasons.get("leads-away") ?? "", /outside of .*hooks/);
    assert.match(reasons.get("open-to-all") ?? "", /may be written by its group or by others/);
    assert.match(reasons.get("../hooks/say") ?? "", /give an absolute path/);
    assert.match(reasons.get("nowhere") ?? "", /no such program/);
  });

  test("a job that is canceled in a Before command", async () => {
    const { installation } = scenario;
    await rm(scenario.path("pids"), { force: true });
    const jobId = await startJob(installation, "canceled", "level=Full");
    await until("the hook runs", () => existsSync(scenario.path("pids")) && pids().length === 2);
    await installation.console([`cancel jobid=${jobId} yes`, "wait"]);
    const { termination, report } = await endReport(installation, jobId);
    assert.equal(termination, "Backup Canceled", report);
    assert.deepEqual(pids().filter(alive), []);
    assert.deepEqual(await noted(), ["client canceled", "failed Canceled"]);
  });
});
