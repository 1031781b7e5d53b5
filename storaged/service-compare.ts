/** The director's questions about references: advice, and what machines differ in from theirs. */

import { BackupError } from "../common/errors.js";
import type { AdviseEvent } from "../proto/generated/basalt/v1/AdviseEvent.js";
import type { AdviseRequest__Output } from "../proto/generated/basalt/v1/AdviseRequest.js";
import type { ComparedMachine__Output } from "../proto/generated/basalt/v1/ComparedMachine.js";
import type { DriftEvent } from "../proto/generated/basalt/v1/DriftEvent.js";
import type { DriftRequest__Output } from "../proto/generated/basalt/v1/DriftRequest.js";
import type { Handlers } from "../proto/rpc.js";
import { weightOf } from "./compare/costs.js";
import { runComparison } from "./compare/run.js";
import { type AdviceOption, type CompareStep, DRIFT_KINDS, type MachineDrift } from "./compare/steps.js";
import type { StoragedOptions } from "./service.js";

/** Comparisons at a time: each is a thread with a database of its own. */
const MAX_RUNNING = 2;
/** Machines in one question: a sketch of each stays in memory. */
const MAX_MACHINES = 500;
/** Names in a Base list; as many lists are weighed against each other. */
const MAX_BASES = 12;
const MAX_TOP = 10_000;
/** Of one message; paths may be as long as a guest makes them. */
const PAGE_BYTES = 256 * 1024;
/** What an entry takes beside its path, about. */
const ENTRY_BYTES = 200;

export function compareHandlers({ catalog, store, config }: StoragedOptions): Handlers {
  let running = 0;
  const sources = { catalog, store, devices: () => config().devices };
  const compare: typeof runComparison = async (...args) => {
    if (running >= MAX_RUNNING)
      throw new BackupError("COMPARE_RUNNING", `${running} comparisons are running already`, {
        retry: "later",
      });
    running++;
    try {
      await runComparison(...args);
    } finally {
      running--;
    }
  };
  return {
    Advise: async (
      request: AdviseRequest__Output,
      { signal },
      send: (event: AdviseEvent) => Promise<void>,
    ) => {
      const { machines, others, references } = request;
      if (machines.length + others.length > MAX_MACHINES)
        throw new BackupError("REQUEST_INVALID", `more than ${MAX_MACHINES} machines in one question`);
      const all = [...machines, ...others];
      all.forEach(checkBases);
      const jobIds = [...all, ...references].flatMap(jobIdsOf);
      const tell = async (step: CompareStep): Promise<void> => {
        if (step.ask === "progress") await send({ progress: step });
        if (step.ask !== "advice") return;
        const { advice } = step;
        await send({
          advice: { ...advice, now: weighed(advice.now), options: advice.options.map(weighed) },
        });
      };
      await compare(sources, { request: { advice: request }, jobIds }, tell, signal);
    },
    Drift: async (request: DriftRequest__Output, { signal }, send: (event: DriftEvent) => Promise<void>) => {
      const { machine } = request;
      if (machine === null) throw new BackupError("REQUEST_INVALID", "no machine was named");
      checkBases(machine);
      const top = Math.min(Math.max(request.top, 0), MAX_TOP);
      const tell = async (step: CompareStep): Promise<void> => {
        if (step.ask === "progress") await send({ progress: step });
        if (step.ask === "drift") await sendDrift(step.drift, send);
      };
      await compare(
        sources,
        { request: { drift: { machine, top } }, jobIds: jobIdsOf(machine) },
        tell,
        signal,
      );
    },
  };
}

function checkBases({ name, bases }: ComparedMachine__Output): void {
  if (bases.length <= MAX_BASES) return;
  throw new BackupError(
    "REQUEST_INVALID",
    `${name} names ${bases.length} Bases; ${MAX_BASES} can be compared`,
  );
}

function jobIdsOf(list: { jobId: number; bases?: number[] }): number[] {
  return [list.jobId, ...(list.bases ?? [])];
}

function weighed(option: AdviceOption): AdviceOption & { weight: number } {
  return { ...option, weight: weightOf(option.cost) };
}

async function sendDrift(drift: MachineDrift, send: (event: DriftEvent) => Promise<void>): Promise<void> {
  const { counts, entries, ...facts } = drift;
  await send({
    drift: { ...facts, counts: DRIFT_KINDS.map((kind, i) => ({ kind, amount: counts[i]! })) },
  });
  for (const [i, kind] of DRIFT_KINDS.entries()) {
    let page: { path: Buffer }[] = [];
    let bytes = 0;
    for (const entry of entries[i]!) {
      const path = Buffer.from(entry.path, "latin1");
      page.push({ ...entry, path });
      bytes += path.length + ENTRY_BYTES;
      if (bytes < PAGE_BYTES) continue;
      await send({ entries: { kind, entries: page } });
      [page, bytes] = [[], 0];
    }
    if (page.length > 0) await send({ entries: { kind, entries: page } });
  }
}
