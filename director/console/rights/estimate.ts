/** Files of a client as they are now, as a console with DirectoryACL and UserIdACL may see them. */

import { bytesOfText } from "../../../common/format/path.js";
import type { EstimateEvent__Output } from "../../../proto/generated/basalt/v1/EstimateEvent.js";
import type { FiledEstimate } from "../../../proto/generated/basalt/v1/FiledEstimate.js";
import { notAllowed } from "../acl.js";
import type { CallOptions, DaemonCaller } from "../port.js";
import { gateEntry } from "./entries.js";
import { type EntryGate, GateWalk } from "./gate.js";

/**
 * Lines of what is granted. `isKnown`: the FileSet is one of the configuration; of places that the console names itself
 * only what it sees is counted too.
 * @throws BackupError NOT_ALLOWED
 */
export async function* gatedEstimate(
  { gate, isKnown, raw }: { gate: EntryGate; isKnown: boolean; raw: DaemonCaller },
  request: FiledEstimate,
  options?: CallOptions,
): AsyncGenerator<EstimateEvent__Output> {
  if (!isKnown) needRoots(gate, request);
  const walk = new GateWalk(gate);
  const events = raw.stream<EstimateEvent__Output>("Filed", "Estimate", request, options);
  if (gate.open) return yield* events;
  let [files, bytes] = [0, 0];
  for await (const event of events) {
    const lines = event.lines.filter((line) => walk.standing(gateEntry(line)) === "open");
    for (const { type, size } of lines) {
      files++;
      if (type === "file") bytes += Number(size);
    }
    const counts = isKnown || !event.done ? {} : { files, bytes };
    // Errors name files as well.
    yield { ...event, ...counts, lines, error: "" };
  }
}

/** The way to a place shows only in a tree from its root on: with UserIdACL nobody knows who could get there. */
function needRoots(gate: EntryGate, { fileSet }: FiledEstimate): void {
  for (const file of fileSet?.include?.flatMap(({ files }) => files ?? []) ?? []) {
    const path = bytesOfText(file);
    if (!gate.anyUser || !(gate.grantsPlace(path, true) || gate.leadsOn(path))) throw notAllowed(file);
  }
}
