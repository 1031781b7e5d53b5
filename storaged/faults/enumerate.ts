/**
 * Tries a scenario's every step of durable I/O: a crash in front of it with all the ways in which un-synced bytes
 * can be lost, and its failure. What must hold afterwards is checked each time.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { BackupError } from "../../common/errors.js";
import type { PoolDefinition } from "../catalog/writer-pools.js";
import { type Image, Moment, wholeImage } from "./disk.js";
import { Counter, faultsOf } from "./fault-steps.js";
import { Ledger, Play } from "./play.js";
import { verifyRescan } from "./rescan.js";
import { at, ModelTree } from "./tree.js";

export interface Scenario {
  name: string;
  pools?: readonly PoolDefinition[];
  /** Goes before, undisturbed. */
  prepare?: (play: Play) => Promise<void>;
  /** The operation whose steps are tried. It must cope with failed jobs. */
  run: (play: Play) => Promise<void>;
  /** Goes after the operation, or the start after it, before everything must be well: what an operator does then. */
  mend?: (play: Play) => Promise<void>;
  /** What is on a volume is changed by the scenario. (Default: false) */
  damaged?: boolean;
}

export interface Tried {
  steps: number;
  images: number;
  faults: number;
  /** What went wrong, a paragraph each. */
  problems: string[];
}

/** What stands when a scenario begins: made once, copied for each try. */
export interface Start {
  scenario: Scenario;
  image: Image | undefined;
  ledger: Ledger;
}

export async function prepared(scenario: Scenario): Promise<Start> {
  if (scenario.prepare === undefined) return { scenario, image: undefined, ledger: new Ledger() };
  const play = await new Play({ pools: scenario.pools }).start();
  await scenario.prepare(play);
  await play.daemon.stop();
  const start = { scenario, image: wholeImage(play.disk), ledger: play.ledger.copy() };
  play.disk.remove();
  return start;
}

function playOf({ scenario, image, ledger }: Start, counter: Counter): Play {
  const { pools } = scenario;
  return new Play({ pools, image, ledger, store: { before: counter.store }, beforeCommit: counter.commit });
}

/** Crashes and failures at every step of the scenario. */
export async function enumerate(scenario: Scenario): Promise<Tried> {
  const start = await prepared(scenario);
  const tried: Tried = { steps: 0, images: 0, faults: 0, problems: [] };
  const moments = await record(start);
  tried.steps = moments.length;
  await crashes(scenario, moments, tried);
  await failEach(tried, (number, way) => failure(start, number, way, tried));
  return tried;
}

/** With BASALT_FIRST one problem is enough. */
export const enough = ({ problems }: Tried): boolean =>
  problems.length > 0 && process.env.BASALT_FIRST !== undefined;

export interface Recorded {
  step: string;
  moment: Moment;
  ledger: Ledger;
}

/** Runs the scenario once and keeps what a crash in front of each step would leave. */
export async function record(start: Start): Promise<Recorded[]> {
  const recorded: Recorded[] = [];
  const counter = new Counter();
  const play = playOf(start, counter);
  await play.start();
  let lastAppend = 0;
  const note = (step: string) => {
    const moment = new Moment(play.disk, play.daemon.durableLog(), lastAppend);
    recorded.push({ step, moment, ledger: play.ledger.copy() });
  };
  counter.onStep = ({ number, text, step }) => {
    if (step?.operation === "open" || step?.operation === "read") return undefined;
    note(`${number} (${text})`);
    if (step?.operation === "append") lastAppend = step.bytes;
    return undefined;
  };
  counter.armed = true;
  await start.scenario.run(play);
  counter.armed = false;
  for (const { result, refusal, jobId } of play.outcomes) {
    const wanted = /given up by the test|Frame refused/.test(`${refusal} ${result.reason}`);
    assert.ok(
      result.ok === true || result.incomplete === true || wanted,
      `undisturbed job ${jobId} failed: ${result.reason}`,
    );
  }
  note("the end");
  await start.scenario.mend?.(play);
  await play.verify();
  await play.verifyNothingLeft(start.scenario.damaged);
  await verifyRescan(wholeImage(play.disk).volumes, play.ledger, start.scenario.pools);
  await play.end();
  return recorded;
}

async function crashes(scenario: Scenario, recorded: readonly Recorded[], tried: Tried): Promise<void> {
  const seen = new Set<string>();
  for (const { step, moment, ledger } of recorded) {
    let first = true;
    for (const image of moment.images()) {
      const identity = `${identityOf(image)} ${ledger.identity}`;
      if (seen.has(identity) || enough(tried)) continue;
      seen.add(identity);
      tried.images++;
      const what = `crash before step ${step}: ${image.name}`;
      const thorough = first;
      await noting(tried, what, () => afterCrash(scenario, image, ledger, thorough));
      first = false;
    }
  }
}

/** Equal for equal content. */
export function identityOf({ volumes, catalog, log }: Image): string {
  const hash = createHash("sha1");
  for (const [path, content] of volumes) hash.update(`${path} ${content.length}\n`).update(content);
  return hash.update(`${log.length}\n`).update(log).update(catalog).digest("hex");
}

/**
 * Starts on what a crash left and checks everything; `thorough`: also that the next job harmed nobody, and that a
 * scan of the volumes says the same.
 */
export async function afterCrash(
  scenario: Scenario,
  image: Image,
  ledger: Ledger,
  thorough = true,
): Promise<void> {
  const { pools } = scenario;
  const play = new Play({ pools, image, ledger });
  try {
    await play.start();
    await scenario.mend?.(play);
    await play.verify();
    await play.verifyNothingLeft(scenario.damaged);
    await goOn(play, thorough);
    if (thorough) await verifyRescan(wholeImage(play.disk).volumes, play.ledger, pools);
  } finally {
    await play.end();
  }
}

/** The next job succeeds and restores, and harms nobody. */
async function goOn(play: Play, thorough: boolean): Promise<void> {
  const tree = new ModelTree().file(at("next/new"), "never seen before").file(at("next/a"), "a");
  const jobId = await play.mustBackUp(tree, { jobName: "next" });
  await play.verify(thorough ? undefined : [jobId]);
}

/** Fails each step in each of its ways (`fail` knows how many) until there is none of that number any more. */
export async function failEach(
  tried: Tried,
  fail: (number: number, way: number) => Promise<number | undefined>,
): Promise<void> {
  for (let number = 1; ; number++) {
    let ways = 1;
    for (let way = 0; way < ways; way++) {
      if (enough(tried)) return;
      const found = await fail(number, way);
      if (found === undefined) return;
      ways = found;
      tried.faults++;
    }
  }
}

/** Fails one step in one way; the number of ways there are, undefined when the scenario has no such step. */
async function failure(start: Start, number: number, way: number, tried: Tried): Promise<number | undefined> {
  const counter = new Counter();
  const play = playOf(start, counter);
  let ways: number | undefined;
  let what = "";
  let sticky = false;
  counter.onStep = ({ number: at, text, step }) => {
    if (sticky && (step?.operation === "append" || step?.operation === "create")) return { errno: "ENOSPC" };
    if (at !== number) return undefined;
    const all = faultsOf(step);
    ways = all.length;
    const fault = all[way]!;
    sticky = fault.sticky === true;
    what = `step ${number} (${text}) fails with ${fault.errno}${sticky ? " from now on" : ""}`;
    return fault;
  };
  try {
    await play.start();
    counter.armed = true;
    const ended = await noting(
      tried,
      () => what,
      () => withinTime(runOf(start.scenario, play)),
    );
    counter.armed = false;
    if (ended && ways !== undefined)
      await noting(
        tried,
        () => what,
        () => afterFailure(start.scenario, play),
      );
    return ways;
  } finally {
    await play.end();
  }
}

/** Operations that are no jobs may throw: clear errors they must be. */
async function runOf(scenario: Scenario, play: Play): Promise<void> {
  try {
    await scenario.run(play);
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    assertClear(error.message, "the operation's error");
  }
}

/** @throws AssertionError when it is not one line that an operator can read. */
export function assertClear(reason: string, whose: string): void {
  assert.match(reason, /^[^\n]{8,400}$/, `${whose} is not one clear line`);
  assert.doesNotMatch(reason, /TypeError|RangeError|undefined|\[object|\.js:/, whose);
}

/** The failed job says why; the others are unharmed, at once and after a new start. */
async function afterFailure(scenario: Scenario, play: Play): Promise<void> {
  for (const { result, jobId } of play.outcomes) {
    if (result.ok === true) continue;
    assertClear(result.reason ?? "", `the reason of job ${jobId}`);
  }
  const undecided = [...play.ledger.jobs].filter(([, { state }]) => state === "open");
  await scenario.mend?.(play);
  await play.verify();
  await goOn(play, false);
  await play.daemon.stop();
  // What was begun and failed may be finished by the next start.
  for (const [jobId] of undecided) play.ledger.set(jobId, "open");
  const failed = play.outcomes.some(({ result }) => result.ok !== true);
  await afterCrash(scenario, wholeImage(play.disk), play.ledger, failed);
}

/** False when `work` failed, which is noted. */
export async function noting(
  tried: Tried,
  what: string | (() => string),
  work: () => Promise<void>,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    const name = typeof what === "string" ? what : what();
    tried.problems.push(`${name}\n${(error as Error).stack}`);
    return false;
  }
}

/** Longer than any undisturbed run by far: only a hang takes it. */
const HANG_MS = 20_000;

export async function withinTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("it never ends")), HANG_MS);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
