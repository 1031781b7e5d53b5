/** The thread that reads one dropped list out of its manifest (reload-list.ts), on a reading connection of its own. */

import { parentPort, workerData } from "node:worker_threads";
import { BackupError } from "../../common/errors.js";
import { GarbledInput } from "../../common/format/varint.js";
import { openForReading } from "../catalog/schema.js";
import { type Methods, serveMade } from "../catalog/worker-rpc.js";
import { ListReload, type ReloadMethods, type ReloadOrder, reloadMethods } from "./reload-list.js";

export interface ReloadWorkerData {
  reloadCatalog: string;
  order: ReloadOrder;
}

/** What is garbled is the manifest's fault, not the program's. */
export function toldClearly(methods: ReloadMethods): ReloadMethods {
  const told = (work: (...args: never[]) => unknown) => {
    return (...args: never[]): unknown => {
      try {
        return work(...args);
      } catch (error) {
        if (error instanceof GarbledInput) throw new BackupError("LIST_UNREADABLE", error.message);
        throw error;
      }
    };
  };
  const entries = Object.entries(methods as Methods).map(([name, method]) => [name, told(method)]);
  return Object.fromEntries(entries) as ReloadMethods;
}

const data = workerData as Partial<ReloadWorkerData> | null;
if (parentPort !== null && data?.reloadCatalog !== undefined) {
  const { reloadCatalog, order } = data as ReloadWorkerData;
  serveMade(parentPort, () =>
    toldClearly(reloadMethods(new ListReload(openForReading(reloadCatalog), order))),
  );
}
