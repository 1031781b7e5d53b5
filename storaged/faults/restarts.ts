/**
 * Tries every step of the start that follows a crash: a second crash in front of it, and its failure. The start after
 * that must find everything as well as the first one would have.
 */

import { BackupError } from "../../common/errors.js";
import { type Image, Moment, wholeImage } from "./disk.js";
import {
  afterCrash,
  assertClear,
  enough,
  failEach,
  identityOf,
  noting,
  prepared,
  record,
  type Scenario,
  type Tried,
  withinTime,
} from "./enumerate.js";
import { Counter, faultsOf } from "./fault-steps.js";
import type { NearDaemon } from "./near-daemon.js";
import { type Ledger, Play } from "./play.js";

/** First crashes whose recovery is tried step by step. */
const FIRST_CRASHES = 8;
/** A second crash is checked thoroughly (next job, scan) as often as this. */
const THOROUGH_EVERY = 4;

/** What the first crash left. */
interface Crashed {
  scenario: Scenario;
  step: string;
  image: Image;
  ledger: Ledger;
}

/** Crashes and failures at every step of the starts after crashes of the scenario. */
export async function enumerateRestarts(scenario: Scenario): Promise<Tried> {
  const tried: Tried = { steps: 0, images: 0, faults: 0, problems: [] };
  const seen = new Set<string>();
  for (const crashed of spread(await firstCrashes(scenario), FIRST_CRASHES)) {
    await secondCrashes(crashed, seen, tried);
    // The next start must do what was left.
    await failEach(tried, (number, way) => failedStart(crashed, number, way, tried));
  }
  return tried;
}

/** The images that leave most to do: nothing written is lost, and the catalog knows least or most of it. */
async function firstCrashes(scenario: Scenario): Promise<Crashed[]> {
  const seen = new Set<string>();
  const crashes: Crashed[] = [];
  for (const { step, moment, ledger } of await record(await prepared(scenario))) {
    for (const image of moment.images()) {
      const identity = `${identityOf(image)} ${ledger.identity}`;
      if (!/keeps? all|the process ended/.test(image.name) || seen.has(identity)) continue;
      seen.add(identity);
      crashes.push({ scenario, step, image, ledger });
    }
  }
  return crashes;
}

/** At most `count` of them, from beginning to end. */
function spread<T>(all: readonly T[], count: number): T[] {
  if (all.length <= count) return [...all];
  return Array.from({ length: count }, (_, index) => all[Math.floor((index * all.length) / count)]!);
}

const nameOf = ({ step, image }: Crashed): string => `crash before step ${step}: ${image.name}`;

async function secondCrashes(crashed: Crashed, seen: Set<string>, tried: Tried): Promise<void> {
  const { scenario, ledger } = crashed;
  for (const { step, moment } of await recordStart(crashed)) {
    tried.steps++;
    for (const image of moment.images()) {
      const identity = `${identityOf(image)} ${ledger.identity}`;
      if (seen.has(identity) || enough(tried)) continue;
      seen.add(identity);
      const thorough = tried.images++ % THOROUGH_EVERY === 0;
      const what = `${nameOf(crashed)}; in the start after it, crash before step ${step}: ${image.name}`;
      await noting(tried, what, () => afterCrash(scenario, image, ledger, thorough));
    }
  }
}

function playOf(
  { scenario, image, ledger }: Crashed,
  counter: Counter,
  opened: (d: NearDaemon) => void,
): Play {
  const { pools } = scenario;
  const beforeCommit = counter.commit;
  return new Play({ pools, image, ledger, store: { before: counter.store }, beforeCommit, opened });
}

/** Runs the start once and keeps what a crash in front of each of its steps would leave. */
async function recordStart(crashed: Crashed): Promise<{ step: string; moment: Moment }[]> {
  const recorded: { step: string; moment: Moment }[] = [];
  const counter = new Counter();
  let daemon: NearDaemon | undefined;
  let lastAppend = 0;
  const play = playOf(crashed, counter, (opened) => {
    daemon = opened;
    counter.armed = true;
  });
  counter.onStep = ({ number, text, step }) => {
    if (step?.operation === "open" || step?.operation === "read") return undefined;
    recorded.push({
      step: `${number} (${text})`,
      moment: new Moment(play.disk, daemon!.durableLog(), lastAppend),
    });
    if (step?.operation === "append") lastAppend = step.bytes;
    return undefined;
  };
  try {
    await play.start();
  } finally {
    counter.armed = false;
    await play.end();
  }
  return recorded;
}

/** Fails one step in one way; the number of ways there are, undefined when the start has no such step. */
async function failedStart(
  crashed: Crashed,
  number: number,
  way: number,
  tried: Tried,
): Promise<number | undefined> {
  const counter = new Counter();
  let ways: number | undefined;
  let what = nameOf(crashed);
  const play = playOf(crashed, counter, () => {
    counter.armed = true;
  });
  counter.onStep = ({ number: at, text, step }) => {
    if (at !== number) return undefined;
    const all = faultsOf(step);
    ways = all.length;
    what = `${nameOf(crashed)}; in the start after it step ${number} (${text}) fails with ${all[way]!.errno}`;
    return all[way];
  };
  try {
    const { scenario, ledger } = crashed;
    const tellNow = () => what;
    const ended = await noting(tried, tellNow, () => withinTime(startOrError(play)));
    counter.armed = false;
    if (!ended || ways === undefined) return ways;
    const image = wholeImage(play.disk);
    await noting(tried, tellNow, () => afterCrash(scenario, image, ledger, false));
    return ways;
  } finally {
    await play.end().catch(() => undefined);
  }
}

/** A start that cannot do what it has to may give up, with a clear error. */
async function startOrError(play: Play): Promise<void> {
  try {
    await play.start();
    await play.daemon.stop();
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    assertClear(error.message, "the start's error");
  }
}
