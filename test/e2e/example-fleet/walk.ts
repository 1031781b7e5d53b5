/** Walks through days of the example's fleet, and compares each with what the rules say. */
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseSize } from "../../../common/units.js";
import { textOf } from "../../../director/messages/testing/smtp-server.js";
import { jobLog } from "../../helpers/running.js";
import { sameTrees } from "../../helpers/scenario.js";
import { removeTree, runProgram } from "../../helpers/tree-ops.js";
import { daysAfter } from "./calendar.js";
import { ExampleFleet, type Run } from "./fleet.js";
import { MACHINES, type Machine, Machines, REFERENCES, type Reference } from "./machines.js";
import { type Day, type Due, dueOn, History, type Known, momentOf } from "./rules.js";

/** The Bases that a run lies over, also by way of those below it. */
function basesBelow(run: Pick<Known, "parent" | "bases">): readonly Known[] {
  return run.parent === undefined ? run.bases : basesBelow(run.parent);
}

/** What the log of a vacuum says of its volumes before it moves anything: `1.568 MB of 1.597 MB are in use (98 %)`. */
function liveBytes(log: string): number {
  const found = log.matchAll(/^.*Volume "[^"]+": ([\d.]+ \w+) of .* in use .*$/gm);
  return [...found].reduce((sum, [, size]) => sum + parseSize(size!), 0);
}

/** Bytes at the end of a day. */
export interface Room {
  day: number;
  /** In all volumes of the pool. */
  fleet: number;
  catalog: number;
  /** What the day's runs stored in Fleet. */
  stored: number;
  /** What of Fleet was needed, as Vacuum counted on that day. */
  live?: number;
}

/** Days are counted from `first`; the walk begins on the evening of day `start`. */
export interface Beginning {
  first: Day;
  start: number;
}

const LETTERS = { Full: "F", Incremental: "I", Base: "B" } as const;
const isGood = ({ status }: Run): boolean => status === "T" || status === "W";
/** Machines take over the packages of a month on the third day behind the rebuild. */
const UPGRADE_WEEKDAY = 2;

/** See the head of this file. Call close() in the end. */
export class Walk {
  readonly fleet: ExampleFleet;
  readonly machines: Machines;
  readonly history = new History();
  readonly room: Room[] = [];
  /** Runs that failed, as expected. */
  readonly failed: string[] = [];
  /** Day 0, whether or not the walk begins there. */
  readonly #first: Day;
  #day: number;
  #months = 0;

  private constructor(fleet: ExampleFleet, machines: Machines, { first, start }: Beginning) {
    this.fleet = fleet;
    this.machines = machines;
    this.#first = first;
    this.#day = start;
  }

  /** The first evening: daemons are started, the references are built by hand. */
  static async begin(beginning: Beginning): Promise<Walk> {
    const fleet = await ExampleFleet.create();
    try {
      const walk = new Walk(fleet, await Machines.create(fleet), beginning);
      await fleet.start(momentOf(walk.day, 18, 0));
      for (const reference of REFERENCES) await walk.byHand(reference);
      return walk;
    } catch (error) {
      await fleet.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.fleet.close();
  }

  get day(): Day {
    return daysAfter(this.#first, this.#day);
  }

  /** `run job=REFERENCE level=Base yes`, which must end well. */
  async byHand(reference: Reference): Promise<void> {
    const { jobId, report, termination } = await this.fleet.installation.runJob(reference, { level: "Base" });
    assert.equal(termination, "Backup OK", report);
    this.history.runs.push({ jobId, name: reference, level: "Base", day: this.#day, ok: true, bases: [] });
  }

  /** The next day, whole. `broken`: machines and references whose commands fail on it. */
  async next(broken: readonly (Machine | Reference)[] = []): Promise<void> {
    this.#day++;
    for (const name of broken) await this.machines.breaks(name, true);
    await this.fleet.goTo(momentOf(this.day, 0, 0));
    if (this.day.getDay() === UPGRADE_WEEKDAY)
      for (const machine of ["web-1", "db-1"] as const) await this.machines.upgrade(machine);
    await this.machines.live(this.#day);
    await this.machines.remember(this.#day);
    if (dueOn(this.day).some(({ level }) => level === "Base")) await this.machines.release(++this.#months);
    await this.fleet.goTo(momentOf(this.day, 23, 45));
    this.#compare(broken);
    for (const name of broken) await this.machines.breaks(name, false);
  }

  /** Exactly the runs that were due, in their order: level, Bases, outcome; then exactly the runs that are to be kept. */
  #compare(broken: readonly string[]): void {
    const [from, to] = [momentOf(this.day, 0, 0), momentOf(daysAfter(this.day, 1), 0, 0)];
    const runs = this.fleet.runs();
    const today = runs.filter(({ schedMs }) => schedMs >= from && schedMs < to);
    const due = dueOn(this.day);
    const shown = ({ name }: { name: string }, atMs: number) => `${new Date(atMs).toString()} ${name}`;
    assert.deepEqual(
      today.map((run) => shown(run, run.schedMs)).sort(),
      due.map((each) => shown(each, each.atMs)).sort(),
      `runs of day ${this.#day}`,
    );
    for (const each of due) {
      const run = today.find(({ name }) => name === each.name)!;
      if (each.name === "Tidy") this.history.forget(this.history.kept());
      this.#compareRun(each, run, broken.includes(each.name));
    }
    this.#compareKept(runs);
    this.#measure(today);
  }

  #compareRun(due: Due, run: Run, broken: boolean): void {
    const log = jobLog(this.fleet.installation, run.jobId);
    const what = `${due.name} on day ${this.#day}, JobId ${run.jobId}:\n${log}`;
    assert.ok((broken ? ["E", "f"] : ["T"]).includes(run.status), what);
    if (broken) this.failed.push(due.name);
    if (due.level === "Admin") return;
    const expected = this.history.expected({ name: due.name, level: due.level });
    assert.equal(run.level, LETTERS[expected.level], what);
    const numbers = (bases: readonly Known[]) => bases.map(({ jobId }) => jobId);
    assert.deepEqual(run.baseJobIds, numbers(basesBelow(expected)), what);
    assert.equal(/Using BaseJobId\(s\): (\S+)/.exec(log)?.[1] ?? "", numbers(expected.bases).join(","), what);
    this.history.runs.push({ ...expected, jobId: run.jobId, name: due.name, day: this.#day, ok: !broken });
  }

  #compareKept(runs: Run[]): void {
    const expected = this.history.runs
      .filter(({ ok }) => ok)
      .map(({ jobId }) => jobId)
      .sort((a, b) => a - b);
    const names = new Set<string>([...MACHINES, ...REFERENCES, "BackupCatalog"]);
    const listed = runs.filter((run) => names.has(run.name) && isGood(run)).map(({ jobId }) => jobId);
    assert.deepEqual(listed, expected, `runs that the director has after day ${this.#day}`);
    assert.deepEqual(this.fleet.cataloged(), expected, `runs that the catalog has after day ${this.#day}`);
  }

  #measure(today: readonly Run[]): void {
    const dir = this.fleet.path("volumes");
    const bytes = (prefix: string) =>
      readdirSync(dir)
        .filter((name) => name.startsWith(prefix))
        .reduce((sum, name) => sum + statSync(join(dir, name)).size, 0);
    const stored = today.reduce((sum, run) => sum + (run.name === "BackupCatalog" ? 0 : run.storedBytes), 0);
    const vacuum = today.find(({ name }) => name === "Vacuum");
    this.room.push({
      ...{ day: this.#day, fleet: bytes("Fleet-"), catalog: bytes("Catalog-"), stored },
      ...(vacuum === undefined ? {} : { live: liveBytes(jobLog(this.fleet.installation, vacuum.jobId)) }),
    });
  }

  /** Goes on to the end of a day. `broken`: what fails on which day. */
  async to(
    day: number,
    broken: Readonly<Record<number, readonly (Machine | Reference)[]>> = {},
  ): Promise<void> {
    while (this.#day < day) await this.next(broken[this.#day + 1]);
  }

  /** JobIds of the Bases that a machine's newest run lies over. */
  basesInForce(machine: Machine): number[] {
    const newest = this.history.newest(machine);
    return newest === undefined ? [] : basesBelow(newest).map(({ jobId }) => jobId);
  }

  /** Whether a run is still there. */
  has(jobId: number): boolean {
    return this.fleet.cataloged().includes(jobId);
  }

  /** The jobs that mails were sent about, in their order; one for each that failed. */
  async mailed(): Promise<string[]> {
    const mails = await this.fleet.mail.received(this.failed.length);
    return mails.map((mail) => /^ {2}Job: +(\S+?)\.\d{4}-/m.exec(textOf(mail))?.[1] ?? mail.data);
  }

  /** Good runs of machines that are kept, oldest first. */
  get keptMachineRuns(): Known[] {
    return this.history.runs.filter(({ name, ok }) => ok && (MACHINES as readonly string[]).includes(name));
  }

  /** Of each machine the newest so many of them. */
  newestRuns(count: number): Known[] {
    return MACHINES.flatMap((machine) =>
      this.keptMachineRuns.filter(({ name }) => name === machine).slice(-count),
    );
  }

  /** Restores each of these runs of machines as an operator does, by its day, and compares everything. */
  async restoresEach(runs: readonly Known[]): Promise<void> {
    for (const run of runs) await this.#restore(run.name as Machine, run);
  }

  async #restore(machine: Machine, { day }: Known): Promise<void> {
    const { installation } = this.fleet;
    const where = this.fleet.path("restores", `${machine}-${day}`);
    const noon = daysAfter(this.#first, day);
    const two = (value: number) => String(value).padStart(2, "0");
    const before = `${noon.getFullYear()}-${two(noon.getMonth() + 1)}-${two(noon.getDate())} 12:00:00`;
    const words = { where, client: "kvm-01", fileSet: machine, before };
    const { termination, report } = await installation.restore(words);
    assert.equal(termination, "Restore OK", report);
    const state = this.machines.state(day, machine);
    if (machine === "legacy-1")
      await runProgram("cmp", [state, join(where, this.fleet.path("dev"), `snap_vm_${machine}-disk1`)]);
    else await sameTrees(state, where);
    await removeTree(where);
  }
}
