/** Retention and vacuum of a NearDaemon, on the calling thread as all of it. */

import { openForReading } from "../catalog/schema.js";
import type { Remote } from "../catalog/worker-rpc.js";
import { LiveCount } from "../retention/live-count.js";
import { type LiveMethods, type LiveWorkerData, liveMethods } from "../retention/live-worker.js";
import { Retention } from "../retention/retention.js";
import { type OpenCount, Vacuum, type VacuumOrder, type VacuumOutcome } from "../retention/vacuum.js";
import { Reporter } from "../session/reporter.js";
import type { NearDaemon } from "./near-daemon.js";

function countHere({ countCatalog, scratch, volumes, counted }: LiveWorkerData): OpenCount {
  const count = new LiveCount(openForReading(countCatalog, 1000), scratch, volumes, counted);
  const methods = liveMethods(count);
  const live = new Proxy({} as Remote<LiveMethods>, {
    get: (_none, name) =>
      name === "then"
        ? undefined
        : async (...args: never[]) =>
            structuredClone((methods[name as keyof LiveMethods] as (...all: never[]) => unknown)(...args)),
  });
  return { live, close: async () => count.close() };
}

export interface NearRetention {
  retention: Retention;
  /** Runs a vacuum, of all volumes unless told otherwise; `stop` ends it when it says something like that. */
  vacuum: (order?: Partial<VacuumOrder>, stop?: RegExp) => Promise<VacuumOutcome & { messages: string[] }>;
}

/** Also makes the daemon's desk ask for room here. `threaded`: live content is counted in a thread. */
export function nearRetention(daemon: NearDaemon, threaded = false): NearRetention {
  const { catalog, desk, store, deleter, verifier, log, devices, disk } = daemon;
  const storage = () => "sd";
  const retention = new Retention({ catalog, desk, deleter, storage, log });
  desk.setRetention(retention);
  const workingDirectory = () => disk.workingDirectory;
  const places = {
    devices: () => devices,
    workingDirectory,
    storage,
    ...(threaded ? {} : { count: countHere }),
  };
  const vacuum = new Vacuum({ catalog, desk, store, verifier, retention, log, ...places });
  const run: NearRetention["vacuum"] = async (order = {}, stop = undefined) => {
    const messages: string[] = [];
    const controller = new AbortController();
    const reporter = new Reporter(async ({ message }) => {
      if (message?.text === undefined) return;
      messages.push(message.text);
      if (stop?.test(message.text) === true) controller.abort(new Error("stopped"));
    });
    const all = { pool: "", volume: "", device: "", belowPercent: 101, bytesPerSec: 0, dry: false, ...order };
    const outcome = await vacuum.run(all, reporter, controller.signal);
    return { ...outcome, messages };
  };
  return { retention, vacuum: run };
}
