/**
 * Sixty jobs at once over twenty file daemons: all of them run at the same moment, all end well, and every message of
 * each arrives at the console once.
 */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { MoreClients } from "../../helpers/more-clients.js";
import { queryDatabase, until, writeScript } from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { randomFiles, runTreeOps } from "../../helpers/tree-ops.js";

const CLIENTS = 20;
const JOBS_PER_CLIENT = 3;
const JOBS = CLIENTS * JOBS_PER_CLIENT;
/** Lines that each job says before its daemons are at work. */
const LINES = 40;
const PATIENCE_MS = 900_000;

describe("sixty jobs at once", () => {
  let scenario: Scenario;
  let clients: MoreClients;
  const names = Array.from({ length: JOBS }, (_, index) => `job-${index}`);

  before(async () => {
    scenario = await Scenario.create("sixty");
    const { installation } = scenario;
    clients = await MoreClients.create(installation, {
      count: CLIENTS,
      directives: { MaximumConcurrentJobs: JOBS_PER_CLIENT },
    });
    for (const daemon of ["director", "storaged"] as const)
      await installation.editConfig(daemon, (text) =>
        text.replace(/MaximumConcurrentJobs: (10|20)\b/g, `MaximumConcurrentJobs: ${JOBS}`),
      );
    // All of them wait here until the last one runs too.
    const gate = await writeScript(scenario.path("gate"), [
      `for line in $(seq ${LINES}); do echo "said $1 $line."; done`,
      `while [ ! -e ${scenario.path("open")} ]; do sleep 0.5; done`,
    ]);
    for (let number = 0; number < CLIENTS; number++) {
      const root = scenario.path(`tree-${number}`);
      await mkdir(root);
      await runTreeOps(root, randomFiles(25, 40_000, `sixty ${number}`));
    }
    const machine = (name: string, index: number) => ({
      name,
      root: scenario.path(`tree-${index % CLIENTS}`),
      job: { Client: clients.name(index % CLIENTS), RunBeforeJob: `${gate} %n` },
    });
    await scenario.define(names.map(machine));
    for (let number = 0; number < CLIENTS; number++) await clients.start(number);
    await installation.startAll();
  });

  after(async () => {
    await clients?.stop();
    await scenario?.close();
  });

  const inState = (letters: string): number => {
    const file = join(scenario.installation.dir, "var", "director", "director.db");
    const jobs = queryDatabase<{ status: string }>(file, "SELECT status FROM job");
    return jobs.filter(({ status }) => letters.includes(status)).length;
  };

  test("they run together, end well, and no message is lost or comes twice", async () => {
    const { installation } = scenario;
    await installation.console(["messages"]);
    const queued = await installation.console(names.map((name) => `run job=${name} level=Full yes`));
    assert.equal([...queued.matchAll(/^Job queued\. JobId=\d+/gm)].length, JOBS);
    await until("all of them run", () => inState("R") === JOBS, PATIENCE_MS);
    await writeFile(scenario.path("open"), "");
    const output = await installation.console(["wait", "messages", "status dir"], PATIENCE_MS);
    assert.equal(inState("T"), JOBS, output.slice(-5000));
    assert.match(output, /^No Jobs running\.$/m);
    assert.equal([...output.matchAll(/^ {2}Termination: +Backup OK$/gm)].length, JOBS);
    for (const name of names) {
      const said = [...output.matchAll(new RegExp(`BeforeJob: said ${name} (\\d+)\\.`, "g"))].map(
        ([, n]) => n,
      );
      const expected = Array.from({ length: LINES }, (_, index) => String(index + 1));
      assert.deepEqual(said, expected, name);
    }
    assert.match(await installation.console(["messages"]), /You have no messages\./);
  });

  test("what they stored comes back", async () => {
    for (const index of [0, 7, JOBS - 1]) {
      const client = clients.name(index % CLIENTS);
      await scenario.restoresAs(names[index]!, scenario.path(`tree-${index % CLIENTS}`), { client });
    }
  });
});
