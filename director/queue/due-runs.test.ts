/** What schedules call for, and the note about it: both or neither. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { nowMs, setClock } from "../../common/time.js";
import { WEB1, withBench } from "../with-bench.js";

const HOURLY =
  "  - {Name: web1, JobDefs: D, Schedule: Hourly, RerunMissed: yes}\n" +
  'Schedule: [{Name: Hourly, Run: "hourly at 0:05"}]\n';
const HOUR = 3_600_000;

test("runs that are due are recorded together with the note, and neither counts without the other", () =>
  withBench(HOURLY, async ({ director, db }) => {
    const start = new Date(2026, 10, 21, 12, 0, 0).getTime();
    db.jobs.startAfter(0);
    db.setCounter("scheduled_to_ms", start - HOUR);
    setClock(() => start);
    const { setCounter } = db;
    let recorded = 0;
    // A kill at the last moment.
    db.setCounter = (name, value) => {
      recorded = db.jobs.count();
      if (name === "scheduled_to_ms") throw new Error("cut off");
      setCounter.call(db, name, value);
    };
    try {
      director.start();
      assert.equal(recorded, 1);
      assert.equal(db.jobs.count(), 0, "a run without the note would be made up for twice");
      assert.equal(director.queue.size, 0);
    } finally {
      db.setCounter = setCounter;
      setClock();
    }
    const said = director.messages.take("x");
    assert.ok(
      said.some((text) => /Scheduled job web1 was not run: .*cut off/.test(text)),
      said.join("\n"),
    );
  }));

test("one that cannot be run is told, and due no more", () =>
  withBench(HOURLY, async ({ director, db }) => {
    db.jobs.startAfter(0);
    db.setCounter("scheduled_to_ms", nowMs() - 2 * HOUR);
    director.setEnabled("storage", "File", false);
    director.start();
    assert.equal(db.jobs.count(), 0);
    const said = director.messages.take("x").join("\n");
    assert.match(said, /Scheduled job web1 was not run: Storage "File" is disabled/);
    assert.ok(db.counter("scheduled_to_ms") > nowMs() - HOUR);
  }));

test("the director stops in order although its database takes nothing", () =>
  withBench(WEB1, async ({ director, db }) => {
    director.start();
    const { setCounter } = db;
    db.setCounter = () => {
      throw new Error("database or disk is full");
    };
    await director.stop();
    db.setCounter = setCounter;
  }));
