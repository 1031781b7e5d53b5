/** The benchmark's results as text: the table, each daemon's share, what was stored, and the goals. */
import { allVerdicts, goalCell, RSS_LIMIT_BYTES, storedAfterVmSteps, type Verdict } from "./goals.js";
import type { Setting } from "./rounds.js";
import { align, formatTable, type Measurement, median, type Summary } from "./table.js";

/** Everything that is printed about the measurements. */
export function describeResults(setting: Setting, rows: Summary[]): string {
  const parts = [
    formatTable(rows, (row) => goalCell(row, setting)),
    daemonTable(setting.measurements),
    storedLines(setting.measurements),
    verdictLines(allVerdicts(setting, rows)),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

/** For each step and daemon: median processor time, and the largest resident size of all repetitions. */
export function daemonTable(measurements: readonly Measurement[]): string {
  const lines: string[][] = [["step", "daemon", "CPU s", "peak MB", ""]];
  const keys = new Map<string, Measurement[]>();
  for (const one of measurements) {
    if (one.daemons === undefined) continue;
    const key = `${one.step}\0${one.tool}`;
    keys.set(key, [...(keys.get(key) ?? []), one]);
  }
  for (const runs of keys.values()) {
    const { step, tool, daemons = {} } = runs[0]!;
    for (const [index, name] of Object.keys(daemons).entries()) {
      const costs = runs.flatMap((run) => run.daemons?.[name] ?? []);
      const peak = Math.max(...costs.map(({ peakRssBytes }) => peakRssBytes));
      const cpu = median(costs.map(({ cpuSeconds }) => cpuSeconds));
      const mark =
        peak > RSS_LIMIT_BYTES && tool.startsWith("basalt") ? `ABOVE ${RSS_LIMIT_BYTES / 1e6} MB` : "";
      const shown = name.startsWith(tool) ? name : `${tool} ${name}`;
      lines.push([index === 0 ? step : "", shown, cpu.toFixed(2), (peak / 1e6).toFixed(0), mark]);
    }
  }
  return lines.length === 1
    ? ""
    : `each daemon, largest peak of all repetitions:\n${align(lines, [0, 1, 4])}`;
}

function storedLines(measurements: readonly Measurement[]): string {
  const stored = storedAfterVmSteps(measurements);
  if (stored.size === 0) return "";
  const lines = [...stored]
    .filter(([, bytes]) => bytes > 0)
    .map(([tool, bytes]) => `  ${tool}: ${(bytes / 1e6).toFixed(1)} MB`);
  return ["stored after all VM steps of the first repetition, catalogs included:", ...lines].join("\n");
}

function verdictLines(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return "";
  const lines = verdicts.map(({ what, reached, goal, met }) => [met ? "met" : "MISSED", what, reached, goal]);
  return `goals:\n${align([["", "what", "reached", "goal"], ...lines], [0, 1, 2, 3])}`;
}
