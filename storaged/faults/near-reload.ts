/** Dropped lists are read again on the calling thread. */

import { openForReading } from "../catalog/schema.js";
import type { OpenReload } from "../retention/manifest-read.js";
import { ListReload, type ReloadMethods, reloadMethods } from "../retention/reload-list.js";
import { type ReloadWorkerData, toldClearly } from "../retention/reload-worker.js";
import { near } from "./near-catalog.js";

export function reloadHere({ reloadCatalog, order }: ReloadWorkerData): OpenReload {
  const list = new ListReload(openForReading(reloadCatalog, 1000), order);
  const reload = near<ReloadMethods>(toldClearly(reloadMethods(list)));
  return { reload, close: async () => list.close() };
}
