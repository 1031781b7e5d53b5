/** Asks the storage daemons which Bases would save most for machines. */

import type { AdviceOption__Output } from "../../../proto/generated/basalt/v1/AdviceOption.js";
import type { AdviseEvent__Output } from "../../../proto/generated/basalt/v1/AdviseEvent.js";
import type { MachineAdvice__Output } from "../../../proto/generated/basalt/v1/MachineAdvice.js";
import type { JobResource } from "../../config/types.js";
import { callStorage } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { Fleet, type Machine } from "./fleet.js";
import { COMPARE_MS, ProgressLines } from "./progress.js";
import type { Advice, AdvisedMachine, AdvisedOption, ListName, NewReference } from "./types.js";

/** Machines in one question. */
const MAX_MACHINES = 500;

/** @throws BackupError NOT_FOUND */
export async function advise(context: CommandContext): Promise<Advice> {
  const fleet = new Fleet(context);
  const wanted = await machinesOf(fleet, fleet.selected());
  const skipped = [...fleet.skipped];
  const names = new Set(wanted.map(({ name }) => name));
  const rest = fleet.jobs.filter(({ name }) => !names.has(name));
  const others = await machinesOf(fleet, rest.slice(0, Math.max(0, MAX_MACHINES - wanted.length)));
  const machines: AdvisedMachine[] = [];
  for (const storage of new Set(wanted.map((machine) => machine.storage))) {
    const here = (machine: Machine): boolean => machine.storage === storage;
    machines.push(
      ...(await ask(context, fleet, storage, { wanted: wanted.filter(here), others: others.filter(here) })),
    );
  }
  return { machines, newReferences: newReferences(machines), skipped };
}

async function machinesOf(fleet: Fleet, jobs: readonly JobResource[]): Promise<Machine[]> {
  const found: Machine[] = [];
  for (const job of jobs) {
    const machine = await fleet.machine(job);
    if (machine !== undefined) found.push(machine);
  }
  return found;
}

async function ask(
  context: CommandContext,
  fleet: Fleet,
  storage: string,
  { wanted, others }: { wanted: readonly Machine[]; others: readonly Machine[] },
): Promise<AdvisedMachine[]> {
  const references: ListName[] = [];
  for (const name of fleet.references) {
    const base = await fleet.base(name, storage);
    if (base !== undefined) references.push(base);
  }
  const wire = ({ name, jobId, bases }: Machine) => ({ name, jobId, bases: bases.map((base) => base.jobId) });
  const request = { machines: wanted.map(wire), others: others.map(wire), references };
  const caller = await callStorage(context, storage);
  const options = { signal: context.signal, timeoutMs: COMPARE_MS };
  const progress = new ProgressLines(context);
  const found: AdvisedMachine[] = [];
  for await (const event of caller.stream<AdviseEvent__Output>("Storaged", "Advise", request, options)) {
    if (event.event === "progress" && event.progress) await progress.tell(event.progress);
    if (event.event !== "advice" || !event.advice) continue;
    found.push(advised(event.advice, wanted.find(({ jobId }) => jobId === event.advice!.jobId)!));
  }
  return found;
}

function advised(
  { name, jobId, entries, bytes, now, options }: MachineAdvice__Output,
  machine: Machine,
): AdvisedMachine {
  const current = optionOf(now!);
  const saved = (option: AdviceOption__Output): AdvisedOption => {
    const made = optionOf(option);
    const savedRows = current.rows - made.rows;
    return { ...made, savedRows, savedBytes: current.newBytes - made.newBytes };
  };
  const { storage, notes } = machine;
  return { machine: name, jobId, storage, entries, bytes, now: current, options: options.map(saved), notes };
}

function optionOf({ parts, cost }: AdviceOption__Output): AdvisedOption {
  return { base: parts, ...cost!, savedRows: 0, savedBytes: 0 };
}

/**
 * Each with what it saves for every machine against the best list of names that exist: by the best option that has it.
 * The one that saves most comes first.
 */
function newReferences(machines: readonly AdvisedMachine[]): NewReference[] {
  const found = new Map<string, NewReference>();
  for (const { machine, now, options } of machines) {
    const best = options.find(({ base }) => base.every(({ kind }) => kind === "base")) ?? now;
    const counted = new Set<string>();
    for (const { base, rows, newBytes } of options) {
      for (const part of base.filter(({ kind }) => kind !== "base")) {
        const ids = part.lists.map(({ jobId }) => jobId).sort((a, b) => a - b);
        const key = `${part.kind} ${ids.join()}`;
        if (counted.has(key)) continue;
        counted.add(key);
        const known = found.get(key) ?? { ...part, machines: [], savedRows: 0, savedBytes: 0 };
        known.machines.push(machine);
        known.savedRows += best.rows - rows;
        known.savedBytes += best.newBytes - newBytes;
        found.set(key, known);
      }
    }
  }
  return [...found.values()].sort((a, b) => b.savedBytes - a.savedBytes || b.savedRows - a.savedRows);
}
