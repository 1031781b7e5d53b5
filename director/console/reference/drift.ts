/** Asks the storage daemons what machines differ in from their Bases. */

import { BackupError, codeOf, describeError } from "../../../common/errors.js";
import { displayPath } from "../../../common/format/path.js";
import type { DriftEvent__Output } from "../../../proto/generated/basalt/v1/DriftEvent.js";
import type { MachineDrift__Output } from "../../../proto/generated/basalt/v1/MachineDrift.js";
import { callStorage } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { fromWire } from "../names.js";
import { Fleet, type Machine } from "./fleet.js";
import { COMPARE_MS, ProgressLines } from "./progress.js";
import type { Count, Drift, DriftedFile, DriftedMachine } from "./types.js";

const PACKAGE_KINDS = ["updates", "newer", "added", "removed"] as const;

/** Which machines: one by its job or by one of its runs, or those that the line names. */
export type Which = { job: string } | { jobId: number } | "named";

/** `top`: entries and packages named of each kind. @throws BackupError NOT_FOUND */
export async function drift(context: CommandContext, top: number, which: Which): Promise<Drift> {
  const fleet = new Fleet(context);
  const { skipped } = fleet;
  const found: DriftedMachine[] = [];
  for (const machine of await machinesOf(fleet, which, context.args.has("all"))) {
    const { name } = machine;
    if (machine.bases.length === 0) {
      const reason = machine.notes.join("; ") || "its Job names no Base";
      skipped.push({ machine: name, reason });
      continue;
    }
    try {
      found.push(await ask(context, machine, top));
    } catch (error) {
      // One that cannot be compared does not keep the others from it.
      if (context.signal.aborted || !(error instanceof BackupError) || codeOf(error) === "NOT_ALLOWED")
        throw error;
      skipped.push({ machine: name, reason: describeError(error) });
    }
  }
  return { machines: found, skipped };
}

/** `all`: of all, those count that are meant to have a Base. */
async function machinesOf(fleet: Fleet, which: Which, all: boolean): Promise<Machine[]> {
  if (which !== "named" && "jobId" in which) return [await fleet.machineAt(which.jobId)];
  const jobs = which === "named" ? fleet.selected() : fleet.jobs.filter(({ name }) => name === which.job);
  const found: Machine[] = [];
  for (const job of jobs) {
    if (all && job.base.length === 0) continue;
    const machine = await fleet.machine(job);
    if (machine !== undefined) found.push(machine);
  }
  return found;
}

async function ask(context: CommandContext, machine: Machine, top: number): Promise<DriftedMachine> {
  const { name, jobId, bases, storage } = machine;
  const caller = await callStorage(context, storage);
  const request = { machine: { name, jobId, bases: bases.map((base) => base.jobId) }, top };
  const options = { signal: context.signal, timeoutMs: COMPARE_MS };
  const progress = new ProgressLines(context);
  const named = new Map<string, DriftedFile[]>();
  let found: MachineDrift__Output | undefined;
  for await (const event of caller.stream<DriftEvent__Output>("Storaged", "Drift", request, options)) {
    if (event.event === "progress" && event.progress) await progress.tell(event.progress);
    else if (event.event === "drift" && event.drift) found = event.drift;
    else if (event.event === "entries" && event.entries) {
      const files = event.entries.entries.map((entry) => ({
        ...entry,
        path: displayPath(fromWire(entry.path)),
      }));
      named.set(event.entries.kind, [...(named.get(event.entries.kind) ?? []), ...files]);
    }
  }
  if (found === undefined)
    throw new BackupError("COMPARE_FAILED", "the storage daemon ended without a result");
  return drifted(machine, found, named);
}

function drifted(
  { name, jobId, bases, storage, notes }: Machine,
  found: MachineDrift__Output,
  named: ReadonlyMap<string, DriftedFile[]>,
): DriftedMachine {
  return {
    ...{ machine: name, jobId, storage, bases, packageDatabase: found.packages },
    ...{ same: count(found.same), known: count(found.known), fresh: count(found.fresh) },
    files: found.counts.map(({ kind, amount }) => ({ kind, ...count(amount), named: named.get(kind) ?? [] })),
    packages: PACKAGE_KINDS.map((kind) => ({
      kind,
      count: found[kind]?.count ?? 0,
      named: found[kind]?.packages ?? [],
    })),
    notes: [...notes, ...found.notes],
  };
}

function count(amount: Count | null): Count {
  return { entries: amount?.entries ?? 0, bytes: amount?.bytes ?? 0 };
}
