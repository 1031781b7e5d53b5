/** conf/example-fleet through forty days: what docs/example-fleet.md says of it is so. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { firstDay, liveInBerlin } from "./calendar.js";
import { type Room, Walk } from "./walk.js";

liveInBerlin();

/** Failures of a Sunday's Full and of the second rebuild. */
const BROKEN = { 16: ["web-1"], 29: ["debian12-db"] } as const;
/** Labels, records of deletions and rounding of what a report says, in bytes. */
const SLACK = 100_000;

describe("the example of a fleet", () => {
  let walk: Walk;
  before(async () => {
    walk = await Walk.begin({ first: firstDay(new Date()), start: 0 });
  });
  after(() => walk?.close());

  test("twenty days, and seven of them back", async () => {
    await walk.to(20, BROKEN);
    await walk.restoresEach(walk.newestRuns(7));
  });

  test("forty days, and all that is kept back", async () => {
    await walk.to(33, BROKEN);
    const old = walk.history.newest("debian12-db")!.jobId;
    await walk.byHand("debian12-db");
    await walk.to(36);
    assert.ok(walk.basesInForce("db-1").includes(old), "until Sunday the old Base is in force");
    await walk.to(40);
    assert.ok(!walk.basesInForce("db-1").includes(old));
    assert.ok(walk.has(old), "kept runs need the old Base");
    assert.deepEqual(walk.failed, ["web-1", "debian12-db"]);
    assert.deepEqual(await walk.mailed(), walk.failed);
    await walk.restoresEach(walk.keptMachineRuns);
  });

  test("the room that it takes", (t) => {
    for (const { day, fleet, live, stored } of walk.room)
      t.diagnostic(
        `day ${day}: ${fleet} bytes, stored ${stored}${live === undefined ? "" : `, needed ${live}`}`,
      );
    const vacuumed = walk.room.filter(({ live }) => live !== undefined);
    for (const { day, fleet, live } of vacuumed)
      assert.ok(fleet <= 2 * live! + SLACK, `day ${day}: ${fleet} bytes for ${live} that are needed`);
    const from = (day: number) => vacuumed.findLast((room) => room.day <= day) ?? walk.room[0]!;
    for (const room of walk.room) {
      const last = from(room.day);
      const since = walk.room.filter(({ day }) => day > last.day && day <= room.day);
      const stored = since.reduce((sum, each) => sum + each.stored, 0);
      const text = `day ${room.day}: ${room.fleet} bytes, ${last.fleet} on day ${last.day}, ${stored} stored since`;
      assert.ok(room.fleet <= last.fleet + stored + SLACK, text);
    }
    const most = (rooms: readonly Room[], value: (room: Room) => number) => Math.max(...rooms.map(value));
    const later = walk.room.filter(({ day }) => day > 20);
    const week = 7 * most(later, ({ stored }) => stored);
    assert.ok(most(later, ({ fleet }) => fleet) <= 2 * most(vacuumed, ({ live }) => live!) + week);
  });
});
