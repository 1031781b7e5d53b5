import assert from "node:assert/strict";
import { test } from "node:test";
import { WEB1, withBench } from "../with-bench.js";
import { JobRun, type JobServices } from "./job-run.js";
import { LiveJob } from "./live-job.js";
import { Pair } from "./pair.js";
import { makePlan } from "./plan.js";

test("a job that was cancelled before its daemons began is over, and what begins later is told", () =>
  withBench(WEB1, async ({ director }) => {
    const plan = makePlan(director.config, { job: "web1" });
    const live = new LiveJob({ jobId: 1, uuid: "u1", job: "web1.a", plan, queuedMs: 0 });
    const { signal: shutdown } = new AbortController();
    const run = new JobRun(live, { shutdown, messages: director.messages } as JobServices);
    live.cancel("Canceled by an operator.");
    const pair = new Pair(run);
    assert.equal(pair.failure, "Canceled by an operator.");
    await pair.finish();
    assert.equal(run.reason, "Canceled by an operator.");
  }));
