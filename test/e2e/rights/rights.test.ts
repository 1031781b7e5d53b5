/** A console with ACLs against real daemons: `create`, `statistics` and `setdebug` reach nothing that is not granted. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ConsoleSession } from "../../helpers/console-session.js";
import { REPOSITORY } from "../../helpers/root.js";
import { Scenario } from "../../helpers/scenario.js";
import { runProgram } from "../../helpers/tree-ops.js";

/** What a restricted console may do in these tests beside what a test says. */
const BASE = { Name: "ops", CatalogACL: "*all*" };
const ALL = "*all*";

describe("a console with ACLs", () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.create("rights");
    const { installation } = scenario;
    const config = join(installation.dir, "director.yaml");
    await runProgram(join(REPOSITORY, "basalt"), ["client", "add", "ops", "--console", "-c", config]);
    await installation.startAll();
  });
  after(() => scenario?.close());

  /** What the console `ops` prints with these rights. */
  async function as(rights: object, lines: readonly string[]): Promise<string> {
    const { installation } = scenario;
    await installation.writeResources("ops", { Console: [{ ...BASE, ...rights }] });
    await installation.console(["reload"]);
    const console = new ConsoleSession(join(installation.dir, "consoles", "ops", "console.yaml"));
    console.send(...lines, "quit");
    await console.waitFor(/^quit$/m, { timeoutMs: 120_000 });
    await console.close();
    return console.output;
  }

  const traced = (daemon: "filed" | "storaged", name: string): boolean =>
    existsSync(join(scenario.installation.dir, "var", daemon, `${name}.trace`));

  const COMMANDS = ["create pool=Default", "statistics", "setdebug level=100 trace=1 all"];

  test("a command that is not granted does nothing", async () => {
    const everything = { ClientACL: ALL, StorageACL: ALL, PoolACL: ALL, JobACL: ALL };
    const text = await as({ ...everything, CommandACL: "status" }, COMMANDS);
    for (const word of ["create", "statistics", "setdebug"])
      assert.match(text, new RegExp(`^${word}: is not allowed for this console\\.$`, "m"));
    assert.doesNotMatch(text, /bacula\.|already exists|created|OK setdebug/);
    assert.ok(!traced("filed", "t-fd") && !traced("storaged", "t-sd"));
  });

  test("a granted command reaches no client, storage or pool that is not", async () => {
    const rights = { CommandACL: "create, statistics, setdebug", PoolACL: "Default" };
    const text = await as(rights, [
      ...["statistics client=t-fd", "statistics storage=File", "statistics all", "statistics"],
      ...["setdebug level=100 trace=1 client=t-fd", "setdebug level=100 trace=1 storage=File"],
      ...["setdebug level=100 trace=1 client", "setdebug level=100 trace=1 storage"],
      ...["create pool=Scratch"],
    ]);
    assert.doesNotMatch(text, /^bacula\.(?:client|storage)\./m);
    assert.doesNotMatch(text, /[23]000 OK setdebug|created/);
    assert.match(text, /^bacula\.jobs\.all=0$/m);
    assert.ok(!traced("filed", "t-fd") && !traced("storaged", "t-sd"));
    const other = await as({ ...rights, ClientACL: "another-fd" }, ["setdebug level=100 trace=1 all"]);
    assert.doesNotMatch(other, /[23]000 OK setdebug/);
    assert.ok(!traced("filed", "t-fd") && !traced("storaged", "t-sd"));
  });

  test("what is granted is done", async () => {
    const rights = { ClientACL: "t-fd", StorageACL: "File", PoolACL: "Default", JobACL: ALL };
    const text = await as({ ...rights, CommandACL: "create, statistics, setdebug" }, [
      ...["create pool=Default", "statistics client=t-fd", "statistics storage=File", "statistics"],
      ...["setdebug level=100 trace=1 client=t-fd", "setdebug level=0 trace=0 client=t-fd"],
    ]);
    assert.match(text, /^Error: Pool Default already exists\.$/m);
    assert.match(text, /^bacula\.client\.t-fd\.jobs\.running=0$/m);
    assert.match(text, /^bacula\.storage\.File\.devices\.all=1$/m);
    assert.match(text, /^bacula\.jobs\.all=[1-9]\d*$/m);
    assert.match(text, /^2000 OK setdebug=100 /m);
    assert.ok(traced("filed", "t-fd"));
  });
});
