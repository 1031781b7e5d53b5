import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Peer, PeerKind } from "./peer.js";
import { measure, type Setting, withPeers } from "./rounds.js";

function settingIn(dir: string): Setting {
  return {
    ...{ dir, scale: "small", repetition: 0, step: "", kinds: [], latencyMs: 0, readLimitMb: 0 },
    ...{ facts: new Set(), measurements: [], verdicts: [], failures: [] },
  };
}

function kindOf(name: string, close: () => Promise<void>, backup?: Peer["backup"]): PeerKind {
  const cost = { wallSeconds: 1, cpuSeconds: 1, peakRssBytes: 1 };
  const peer: Peer = {
    name,
    prepare: async () => undefined,
    backup: backup ?? (async () => cost),
    restore: async () => undefined,
    storedBytes: async () => ({ dataBytes: 0, catalogBytes: 0 }),
    close,
  };
  return { name, describe: async () => name, create: () => peer };
}

test("a tool that cannot be ended keeps neither the others nor the next phase from it", async () => {
  const dir = mkdtempSync(join(tmpdir(), "rounds-"));
  const setting = settingIn(dir);
  const closed: string[] = [];
  const fails = async (name: string): Promise<never> => {
    closed.push(name);
    throw new Error("still busy");
  };
  const machine = { name: "m", kind: "tree", tree: dir } as const;
  const run = (kinds: PeerKind[]) =>
    withPeers(setting, kinds, [machine], async (peers) => {
      for (const peer of peers)
        await measure(setting, peer, "step", () => peer.backup({ level: "full", machine }));
    });
  try {
    const broken = (): Promise<never> => Promise.reject(new Error("broken"));
    await run([
      kindOf("stuck", () => fails("stuck")),
      kindOf("broken", () => fails("broken"), broken),
      kindOf("good", async () => void closed.push("good")),
    ]);
    await run([kindOf("next", async () => void closed.push("next"))]);
    assert.deepEqual(closed, ["broken", "stuck", "good", "next"]);
    assert.deepEqual(setting.failures, [
      "broken: step: broken",
      "broken: its end: still busy",
      "stuck: its end: still busy",
    ]);
    assert.deepEqual(
      setting.measurements.map(({ tool }) => tool),
      ["stuck", "good", "next"],
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
});
