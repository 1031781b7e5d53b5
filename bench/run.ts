/**
 * Runs Basalt and the installed peers on the same trees and images, interleaved step by step, and prints tables.
 * `--help` lists its options.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { resolve } from "node:path";
import { BASALT } from "./basalt.js";
import { benchProgram, oneOf, someOf, wholeNumber } from "./command-line.js";
import { allVerdicts, restoreVerdicts } from "./goals.js";
import type { PeerKind } from "./peer.js";
import { BACULA } from "./peers/bacula.js";
import { BORG, BORG_FIXED } from "./peers/borg.js";
import { RESTIC } from "./peers/restic.js";
import { TAR_ZSTD } from "./peers/tarzstd.js";
import { WALK } from "./peers/walk.js";
import { directorPhase } from "./phases/director.js";
import { imagePhase } from "./phases/image.js";
import { latencyPhase, latencyVerdicts } from "./phases/latency.js";
import { limitPhase } from "./phases/limit.js";
import { memoryPhase } from "./phases/memory.js";
import { treesPhase } from "./phases/trees.js";
import { describeResults } from "./results.js";
import { closeAll, type Setting } from "./rounds.js";
import { summarize } from "./table.js";
import { MemoryTrace } from "./trace.js";
import type { Scale } from "./trees.js";

const KINDS: readonly PeerKind[] = [BASALT, BACULA, RESTIC, BORG, BORG_FIXED, TAR_ZSTD, WALK];

const PHASES: Record<string, (setting: Setting) => Promise<void>> = {
  trees: treesPhase,
  image: imagePhase,
  latency: latencyPhase,
  limit: limitPhase,
  memory: memoryPhase,
  director: directorPhase,
};

/** A scale of its own for what takes long and wants nobody beside it. */
const DEFAULT_PHASES: Record<Scale, string[]> = {
  small: ["trees", "image", "latency", "limit"],
  full: ["trees", "image", "latency", "limit"],
  huge: ["memory"],
};

interface Options {
  scale: Scale;
  repeat?: number;
  phase?: string[];
  only?: string[];
  dir: string;
  latency: number;
  limit: number;
  json?: string;
  trace?: string;
  profile?: string;
}

function readOptions(): Options {
  const names = KINDS.map(({ name }) => name);
  const phases = Object.keys(PHASES);
  const scales = Object.keys(DEFAULT_PHASES) as Scale[];
  const program = benchProgram("bench", "Measures Basalt and the installed peers side by side")
    .option("--scale <name>", scales.join(", "), oneOf(scales), "small")
    .option("--repeat <n>", "repetitions (default: 3, huge: 1)", wholeNumber)
    .option("--phase <names>", `what is measured, with commas: ${phases.join(", ")}`, someOf(phases))
    .option("--only <names>", `who is measured, with commas: ${names.join(", ")}`, someOf(names))
    .option("--dir <dir>", "where it works; trees are kept there", "/var/tmp/basalt-bench")
    .option("--latency <ms>", "round trip of the latency phase", wholeNumber, 50)
    .option("--limit <mb>", "megabytes a second of the limit phase", wholeNumber, 20)
    .option("--json <file>", "write all figures to a file")
    .option("--trace <file>", "write how much memory each daemon had, ten times a second")
    .option("--profile <dir>", "write processor profiles of Basalt's daemons");
  return program.parse().opts<Options>();
}

/** The tools that were chosen, with what they are; those that cannot run here are named only. */
async function chooseTools(
  only: string[] | undefined,
): Promise<{ kinds: PeerKind[]; tools: Record<string, string> }> {
  const kinds: PeerKind[] = [];
  const tools: Record<string, string> = {};
  for (const kind of KINDS.filter((each) => !only || only.includes(each.name))) {
    const what = await kind.describe();
    if (what) kinds.push(kind);
    tools[kind.name] = what ?? "left out: not installed, or not allowed to this user";
  }
  return { kinds, tools };
}

async function main(): Promise<number> {
  const { scale, dir, only, latency, limit, json, trace, profile, ...more } = readOptions();
  const phases = more.phase ?? DEFAULT_PHASES[scale];
  const repeat = more.repeat ?? (scale === "huge" ? 1 : 3);
  const { kinds, tools } = await chooseTools(only);
  mkdirSync(dir, { recursive: true });
  const setting: Setting = {
    ...{ dir, scale, kinds, repetition: 0, step: "", latencyMs: latency, readLimitMb: limit },
    trace: trace === undefined ? undefined : new MemoryTrace(trace),
    profileDir: profile === undefined ? undefined : resolve(profile),
    facts: new Set(),
    ...{ measurements: [], verdicts: [], failures: [] },
  };
  for (; setting.repetition < repeat; setting.repetition++) {
    for (const phase of phases) {
      console.error(`repetition ${setting.repetition + 1} of ${repeat}: ${phase}`);
      await PHASES[phase]!(setting).catch((error: unknown) => {
        setting.failures.push(`phase ${phase}: ${error instanceof Error ? error.message : String(error)}`);
        console.error(`  ${setting.failures.at(-1)}`);
      });
    }
  }
  setting.trace?.close();
  setting.verdicts.push(...latencyVerdicts(setting));
  const rows = summarize(setting.measurements);
  const [cpu] = cpus();
  const machine = {
    ...{ cpus: cpus().length, model: cpu?.model, memoryBytes: totalmem() },
    ...{ kernel: release(), node: process.version },
  };
  console.log(`scale ${scale}, ${repeat} repetitions`);
  for (const fact of setting.facts) console.log(fact);
  for (const [name, what] of Object.entries(tools)) console.log(`${name}: ${what}`);
  const memory = `${(machine.memoryBytes / 1e9).toFixed(0)} GB`;
  console.log(`${machine.cpus} processors (${machine.model}), ${memory}, Linux ${machine.kernel}\n`);
  console.log(describeResults(setting, rows));
  for (const failure of setting.failures) console.log(`FAILED ${failure}`);
  const { facts, measurements, failures } = setting;
  const verdicts = allVerdicts(setting, rows);
  const record = {
    scale,
    facts: [...facts],
    tools,
    machine,
    summary: rows,
    measurements,
    verdicts,
    failures,
  };
  if (json) writeFileSync(json, `${JSON.stringify(record, null, 1)}\n`);
  const lost = restoreVerdicts(rows).some(({ met }) => !met);
  return failures.length > 0 || lost ? 1 : 0;
}

process.once("SIGINT", () => void closeAll([]).finally(() => process.exit(130)));
try {
  process.exitCode = await main();
} finally {
  await closeAll([]);
}
