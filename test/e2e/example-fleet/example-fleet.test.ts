/**
 * conf/example-fleet through sixteen days: the change of the clocks, the rebuild of a month with one reference that fails,
 * a Full that fails, until the old Base is gone.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { REPOSITORY } from "../../helpers/root.js";
import { runProgram } from "../../helpers/tree-ops.js";
import { firstDay, liveInBerlin } from "./calendar.js";
import { Walk } from "./walk.js";

liveInBerlin();

test("every file of the example passes -t as it stands", async () => {
  for (const daemon of ["director", "filed", "storaged", "console"]) {
    const file = join(REPOSITORY, "conf", "example-fleet", `${daemon}.yaml`);
    await runProgram(join(REPOSITORY, "basalt"), [daemon, "-c", file, "-t"]);
  }
});

describe("the example of a fleet", () => {
  let walk: Walk;
  before(async () => {
    walk = await Walk.begin({ first: firstDay(new Date()), start: 21 });
  });
  after(() => walk?.close());

  test("sixteen days", async () => {
    const newest = (name: string) => walk.history.newest(name)?.jobId;
    const [first, firstDb] = [newest("debian12"), newest("debian12-db")];
    await walk.to(29, { 29: ["debian12-db"] });
    const rebuilt = newest("debian12");
    assert.notEqual(rebuilt, first);
    assert.equal(newest("debian12-db"), firstDb, "the Base of last month stays in force");
    // Sunday's Full of web-1 fails; Monday's run is one instead.
    await walk.to(31, { 30: ["web-1"] });
    assert.deepEqual(walk.basesInForce("web-1"), [rebuilt]);
    assert.deepEqual(walk.basesInForce("db-1"), [firstDb, rebuilt]);
    await walk.to(36);
    assert.ok(walk.has(first!), "a kept run needs the old Base");
    await walk.to(37);
    assert.ok(!walk.has(first!), "no kept run needs it any more");
    assert.ok(walk.has(firstDb!));
    assert.deepEqual(walk.failed, ["debian12-db", "web-1"]);
    assert.deepEqual(await walk.mailed(), ["debian12-db", "web-1"]);
  });

  test("what is kept comes back", async () => {
    const days = new Set([31, 34, 37]);
    await walk.restoresEach(walk.keptMachineRuns.filter((run) => days.has(run.day)));
  });
});
