/** The thread of one restore of files from images. */
import { parentPort, workerData } from "node:worker_threads";
import { serveMade } from "../catalog/worker-rpc.js";
import { ImageView } from "./image-view.js";

export function viewMethods(view: ImageView) {
  return { open: view.open.bind(view), locate: view.locate.bind(view), cut: view.cut.bind(view) };
}
export type ViewMethods = ReturnType<typeof viewMethods>;

if (
  parentPort !== null &&
  (workerData as { viewCatalogFile?: string } | null)?.viewCatalogFile !== undefined
) {
  const { viewCatalogFile } = workerData as { viewCatalogFile: string };
  serveMade(parentPort, () => viewMethods(new ImageView(viewCatalogFile)));
}
