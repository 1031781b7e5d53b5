/**
 * Basalt over a long line: every connection between two daemons through a proxy that adds latency, beside an
 * installation without a proxy, and one whose proxy adds nothing, which shows what the proxy itself takes.
 */
import { join } from "node:path";
import { basaltKind } from "../basalt.js";
import type { Verdict } from "../goals.js";
import { measureEach, type Setting, withPeers } from "../rounds.js";
import { median } from "../table.js";
import { makeBenchTrees } from "../trees.js";

const SLOWER_AT_MOST = 1.1;
const STEPS = ["latency: reference, first", "latency: VM Full on Base"] as const;

function farName(setting: Setting): string {
  return `basalt +${setting.latencyMs} ms`;
}

/** One repetition. */
export async function latencyPhase(setting: Setting): Promise<void> {
  const { machines } = await makeBenchTrees(join(setting.dir, "trees"), setting.scale);
  const pair = machines.slice(0, 2);
  const kinds = [
    basaltKind(),
    basaltKind({ name: "basalt +0 ms", roundTripMs: 0 }),
    basaltKind({ name: farName(setting), roundTripMs: setting.latencyMs }),
  ];
  await withPeers(setting, kinds, pair, async (peers) => {
    for (const [index, machine] of pair.entries()) {
      const level = index === 0 ? "base" : "full";
      await measureEach(setting, peers, machine, STEPS[index]!, (peer) => peer.backup({ level, machine }));
    }
  });
}

/** After all repetitions: medians with the latency against those without a proxy. */
export function latencyVerdicts(setting: Setting): Verdict[] {
  return STEPS.flatMap((step) => {
    const [near, far] = ["basalt", farName(setting)].map((name) =>
      median(
        setting.measurements
          .filter((one) => one.step === step && one.tool === name)
          .map((one) => one.wallSeconds),
      ),
    );
    const ratio = far! / near!;
    if (Number.isNaN(ratio)) return [];
    const what = `${step}, ${setting.latencyMs} ms more per round trip`;
    const reached = `${ratio.toFixed(2)} times as long`;
    return [{ what, reached, goal: `< ${SLOWER_AT_MOST}`, met: ratio < SLOWER_AT_MOST }];
  });
}
