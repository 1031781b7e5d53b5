/**
 * Runs Basalt and the installed peers on the same trees, interleaved step by step, and prints a table.
 *
 * Options: --scale small|full, --repeat N, --dir DIR (trees are kept there), --json FILE, --only NAME,NAME.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compareTrees } from "../test/helpers/compare.js";
import { removeTree, runProgram, unmountBelow } from "../test/helpers/tree-ops.js";
import { BASALT } from "./basalt.js";
import type { Cost, Peer, PeerKind } from "./peer.js";
import { BACULA } from "./peers/bacula.js";
import { BORG } from "./peers/borg.js";
import { RESTIC } from "./peers/restic.js";
import { TAR_ZSTD } from "./peers/tarzstd.js";
import { formatTable, type Measurement, summarize } from "./table.js";
import { type BenchTrees, editBenchMachine, makeBenchTrees, nextNight, type Scale } from "./trees.js";

const KINDS: PeerKind[] = [BASALT, BACULA, RESTIC, BORG, TAR_ZSTD];
const DIFFERENCE_LIMIT = 10_000;

interface Setting {
  dir: string;
  scale: Scale;
  trees: BenchTrees;
  kinds: PeerKind[];
  repetition: number;
  measurements: Measurement[];
  failures: string[];
}

const open = new Set<Peer>();

async function closeAll(): Promise<void> {
  for (const peer of open) await peer.close();
  open.clear();
}

/** One step of one tool; a failure is noted and takes the tool out of this repetition. */
async function measure(
  setting: Setting,
  peer: Peer,
  step: string,
  action: () => Promise<Cost>,
): Promise<void> {
  if (!open.has(peer)) return;
  try {
    const before = await peer.storedBytes();
    await runProgram("sync", []);
    const cost = await action();
    const after = await peer.storedBytes();
    const storedBytes = after.dataBytes + after.catalogBytes - before.dataBytes - before.catalogBytes;
    const { wallSeconds, reportedSeconds, cpuSeconds, peakRssBytes } = cost;
    const { daemons } = cost;
    const { differences } = cost as { differences?: number };
    const measurement: Measurement = {
      ...{ repetition: setting.repetition, tool: peer.name, step },
      ...{ wallSeconds, cpuSeconds, peakRssBytes, storedBytes },
      ...(reportedSeconds === undefined ? {} : { reportedSeconds }),
      ...(daemons === undefined ? {} : { daemons }),
      ...(differences === undefined ? {} : { differences }),
    };
    setting.measurements.push(measurement);
    console.error(`  ${peer.name}: ${step}: ${wallSeconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s`);
  } catch (error) {
    setting.failures.push(`${peer.name}: ${step}: ${error instanceof Error ? error.message : String(error)}`);
    console.error(`  ${setting.failures.at(-1)}`);
    open.delete(peer);
    await peer.close();
  }
}

async function restoreAndCompare(
  peer: Peer,
  machine: { name: string; tree: string },
  dest: string,
): Promise<Cost> {
  try {
    const cost = await peer.restore({ machine: machine.name, tree: machine.tree }, dest);
    const found = await compareTrees(machine.tree, cost.restored, {
      root: false,
      holes: "ignored",
      limit: DIFFERENCE_LIMIT,
    });
    writeFileSync(`${dest}.differences`, found.map((line) => `${line}\n`).join(""));
    return Object.assign(cost, { differences: found.length });
  } finally {
    await removeTree(dest);
  }
}

async function preparePeers(setting: Setting): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (const kind of setting.kinds) {
    const dir = join(setting.dir, "work", kind.name);
    await unmountBelow(dir);
    await removeTree(dir);
    mkdirSync(dir, { recursive: true });
    const peer = kind.create(dir);
    open.add(peer);
    try {
      await peer.prepare(setting.trees.machines.map((machine) => machine.name));
      peers.push(peer);
    } catch (error) {
      setting.failures.push(
        `${kind.name}: preparation: ${error instanceof Error ? error.message : String(error)}`,
      );
      console.error(`  ${setting.failures.at(-1)}`);
      open.delete(peer);
      await peer.close();
    }
  }
  const turn = setting.repetition % Math.max(1, peers.length);
  return [...peers.slice(turn), ...peers.slice(0, turn)];
}

async function repetition(setting: Setting): Promise<void> {
  const peers = await preparePeers(setting);
  const [reference, ...vms] = setting.trees.machines;
  if (!reference) throw new Error("there is no reference tree");
  const each = async (step: string, action: (peer: Peer) => Promise<Cost>): Promise<void> => {
    for (const peer of peers) await measure(setting, peer, step, () => action(peer));
  };
  await each("reference, first", (peer) =>
    peer.backup({ level: "base", machine: reference.name, tree: reference.tree }),
  );
  for (const { name, tree } of vms)
    await each(`full on base, ${name}`, (peer) => peer.backup({ level: "full", machine: name, tree }));
  const night = nextNight(setting.dir, setting.scale);
  for (const vm of vms) editBenchMachine(vm, night, setting.scale);
  for (const { name, tree } of vms)
    await each(`incremental, ${name}`, (peer) => peer.backup({ level: "incremental", machine: name, tree }));
  for (const { name, tree } of vms.slice(0, 1)) {
    await each(`unchanged, ${name}`, (peer) => peer.backup({ level: "incremental", machine: name, tree }));
    const dest = (peer: Peer): string => join(setting.dir, "work", `restored-${peer.name}`);
    await each(`restore, ${name}`, (peer) => restoreAndCompare(peer, { name, tree }, dest(peer)));
  }
  await closeAll();
}

function totals(setting: Setting): string {
  const tools = [...new Set(setting.measurements.map((each) => each.tool))];
  const lines = tools.map((tool) => {
    const own = setting.measurements.filter((each) => each.tool === tool && each.repetition === 0);
    const sum = own.reduce((total, each) => total + each.storedBytes, 0);
    return `  ${tool}: ${(sum / 1e6).toFixed(1)} MB`;
  });
  return ["stored after all steps of the first repetition, catalogs included:", ...lines].join("\n");
}

/** The largest peak of each daemon over all steps. */
function daemonPeaks(measurements: Measurement[]): string {
  const peaks = new Map<string, number>();
  for (const { tool, daemons = {} } of measurements)
    for (const [name, { peakRssBytes }] of Object.entries(daemons))
      peaks.set(`${tool} ${name}`, Math.max(peakRssBytes, peaks.get(`${tool} ${name}`) ?? 0));
  const lines = [...peaks].map(([name, bytes]) => `  ${name}: ${(bytes / 1e6).toFixed(0)} MB`);
  return ["largest resident size of each daemon:", ...lines].join("\n");
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      scale: { type: "string", default: "small" },
      repeat: { type: "string", default: "3" },
      dir: { type: "string", default: "/var/tmp/basalt-bench" },
      json: { type: "string" },
      only: { type: "string" },
    },
  });
  const only = values.only?.split(",");
  const scale: Scale = values.scale === "full" ? "full" : "small";
  console.error(`making the ${scale} trees in ${values.dir}, or finding them there`);
  const trees = await makeBenchTrees(join(values.dir, "trees"), scale);
  const kinds: PeerKind[] = [];
  const tools: Record<string, string> = {};
  for (const kind of KINDS.filter((each) => !only || only.includes(each.name))) {
    const what = await kind.describe();
    if (what) kinds.push(kind);
    tools[kind.name] = what ?? "left out: not installed, or not allowed to this user";
  }
  const setting: Setting = {
    dir: values.dir,
    scale,
    trees,
    kinds,
    repetition: 0,
    measurements: [],
    failures: [],
  };
  for (const { tree } of trees.machines)
    await runProgram("sh", ["-c", 'tar -cf - -C "$1" . | cat >/dev/null', "sh", tree]);
  for (; setting.repetition < Number(values.repeat); setting.repetition++) {
    console.error(`repetition ${setting.repetition + 1} of ${values.repeat}`);
    await repetition(setting);
  }
  const summary = summarize(setting.measurements);
  const machine = {
    cpus: cpus().length,
    model: cpus()[0]?.model,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
  };
  console.log(`${scale} trees: ${trees.how}`);
  for (const [name, what] of Object.entries(tools)) console.log(`${name}: ${what}`);
  console.log(
    `${machine.cpus} processors, ${(machine.memoryBytes / 1e9).toFixed(0)} GB, Linux ${machine.kernel}\n`,
  );
  console.log(`${formatTable(summary)}\n\n${totals(setting)}\n\n${daemonPeaks(setting.measurements)}`);
  for (const failure of setting.failures) console.log(`FAILED ${failure}`);
  const { measurements, failures } = setting;
  const record = { scale, trees: trees.how, tools, machine, summary, measurements, failures };
  if (values.json) writeFileSync(values.json, `${JSON.stringify(record, null, 1)}\n`);
  return setting.failures.length > 0 ? 1 : 0;
}

process.once("SIGINT", () => void closeAll().finally(() => process.exit(130)));
try {
  process.exitCode = await main();
} finally {
  await closeAll();
}
