/**
 * Advice on references: which lists, of those that are Bases and those that could become one, would save most below
 * each machine. Sketches find the candidates among the machines; what is said of a candidate was counted in full.
 * Memory: a block per layer that is read, a sketch per machine.
 */

import { sameRow } from "../../common/format/row.js";
import type { RowCursor } from "../catalog/overlay.js";
import type { Db } from "../catalog/schema.js";
import { CommonCursor } from "./common-cursor.js";
import { ordersOf } from "./costs.js";
import { OpenLists } from "./open-lists.js";
import { betterOptions, type Weighed } from "./options.js";
import { type Sketch, SketchMaker, sharedWeight } from "./sketch.js";
import type { AdvicePart, AdviceRequest, ComparedMachine, NamedList, Script } from "./steps.js";
import { MAX_LISTS, Weighing } from "./weigh.js";

/** Candidates for one machine. All Bases that it lies over now are among them, up to this. */
const MAX_BASES = 6;
const MAX_MACHINES = 3;
/** Names that an advised `Base` list has at most. */
const MAX_NAMES = 3;
const STEP_ROWS = 20_000;

/** A list that could be a machine's Base. */
interface Candidate extends Omit<AdvicePart, "entries" | "bytes"> {
  open: () => RowCursor;
}

interface Sketches {
  /** Of the whole list; only where there are more Bases than can be tried. */
  whole: Sketch | undefined;
  /** Of what differs from the present Bases. */
  rest: Sketch;
}

export class AdviceScript {
  readonly #request: AdviceRequest;
  readonly #lists: OpenLists;
  readonly #machines: readonly ComparedMachine[];
  readonly #sketches = new Map<ComparedMachine, Sketches>();
  readonly #bases = new Map<number, Sketch>();

  constructor(db: Db, request: AdviceRequest) {
    this.#request = request;
    this.#lists = new OpenLists(db);
    this.#machines = [...request.machines, ...request.others];
  }

  *run(): Script {
    const { references, machines } = this.#request;
    const choose = references.length > MAX_BASES;
    if (choose)
      for (const reference of references)
        this.#bases.set(reference.jobId, yield* this.#wholeSketch(reference));
    for (const machine of this.#machines) this.#sketches.set(machine, yield* this.#sketch(machine, choose));
    for (const machine of machines) yield* this.#advise(machine);
    yield { ask: "end" };
  }

  *#wholeSketch({ name, jobId }: NamedList): Script<Sketch> {
    const maker = new SketchMaker();
    const list = this.#lists.effective(jobId);
    for (let rows = 1; list.row !== undefined; list.advance(), rows++) {
      maker.add(list.row);
      if (rows % STEP_ROWS === 0) yield { ask: "progress", name, entries: STEP_ROWS };
    }
    return maker.finish();
  }

  *#sketch({ name, jobId, bases }: ComparedMachine, choose: boolean): Script<Sketches> {
    const [whole, rest] = [new SketchMaker(), new SketchMaker()];
    const list = this.#lists.effective(jobId);
    const lower = this.#lists.over(bases);
    for (let rows = 1; list.row !== undefined; list.advance(), rows++) {
      const { row } = list;
      while (lower.row !== undefined && lower.row.key < row.key) lower.advance();
      if (choose) whole.add(row);
      if (lower.row?.key !== row.key || !sameRow(row, lower.row)) rest.add(row);
      if (rows % STEP_ROWS === 0) yield { ask: "progress", name, entries: STEP_ROWS };
    }
    return { whole: choose ? whole.finish() : undefined, rest: rest.finish() };
  }

  *#advise(machine: ComparedMachine): Script {
    const { name, jobId } = machine;
    const bases = this.#basesFor(machine);
    const candidates = [...bases, ...this.#machinesFor(machine)].slice(0, MAX_LISTS);
    const weighing = new Weighing(candidates.length);
    try {
      const step = { ask: "progress", name } as const;
      const cursors = candidates.map(({ open }) => open());
      for (const entries of weighing.paths(this.#lists.effective(jobId), cursors)) yield { ...step, entries };
      for (const [i, { open }] of candidates.entries())
        for (const entries of weighing.contents(i, open())) yield { ...step, entries };
      // A list of names with more than one that does not exist yet is no advice.
      const isNew = (candidate: number): boolean => candidate >= bases.length;
      const orders = ordersOf(candidates.length, MAX_NAMES, (order) => order.filter(isNew).length <= 1);
      const now = machine.bases.map((base) => bases.findIndex(({ lists }) => lists[0]!.jobId === base));
      const all = [now, ...orders.filter((order) => order.join() !== now.join())];
      const parts = candidates.map(
        ({ kind, lists }, i): AdvicePart => ({ kind, lists, ...weighing.sizes[i]! }),
      );
      const [first, ...rest] = weighing.costs(all).map((cost, i) => ({ order: all[i]!, cost }));
      const option = ({ order, cost }: Weighed) => ({ parts: order.map((i) => parts[i]!), cost });
      const options = betterOptions(first!, rest, isNew).map(option);
      yield {
        ask: "advice",
        advice: { name, jobId, ...weighing.machine, now: option(first!), options },
      };
    } finally {
      weighing.close();
    }
  }

  /** The Bases that it lies over now, then those most like it. */
  #basesFor(machine: ComparedMachine): Candidate[] {
    const { references } = this.#request;
    const own = machine.bases.map(
      (base) => references.find(({ jobId }) => jobId === base) ?? { name: `JobId ${base}`, jobId: base },
    );
    const others = references.filter(({ jobId }) => !machine.bases.includes(jobId));
    const whole = this.#sketches.get(machine)?.whole;
    if (whole !== undefined) {
      const likeness = (list: NamedList): number => sharedWeight(whole, this.#bases.get(list.jobId)!);
      others.sort((a, b) => likeness(b) - likeness(a));
    }
    return [...own, ...others.slice(0, Math.max(0, MAX_BASES - own.length))].map((list) => ({
      ...{ kind: "base", lists: [list] },
      open: () => this.#lists.effective(list.jobId),
    }));
  }

  /** The machines that share most of what is not in its Bases, and what it has in common with them. */
  #machinesFor(machine: ComparedMachine): Candidate[] {
    const { rest } = this.#sketches.get(machine)!;
    const near = this.#machines
      .filter((other) => other !== machine)
      .map((other) => ({ other, shared: sharedWeight(rest, this.#sketches.get(other)!.rest) }))
      .filter(({ shared }) => shared > 0)
      .sort((a, b) => b.shared - a.shared)
      .slice(0, MAX_MACHINES);
    const [best] = near;
    if (best === undefined) return [];
    const open = ({ jobId }: NamedList) => this.#lists.effective(jobId);
    const named = ({ name, jobId }: NamedList): NamedList => ({ name, jobId });
    const group = [
      machine,
      ...near.filter(({ shared }) => shared * 2 >= best.shared).map(({ other }) => other),
    ];
    return [
      ...near.map(
        ({ other }): Candidate => ({ kind: "machine", lists: [named(other)], open: () => open(other) }),
      ),
      { kind: "common", lists: group.map(named), open: () => new CommonCursor(group.map(open)) },
    ];
  }
}
