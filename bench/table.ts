/** The benchmark's results as medians, ratios and a table for people. */
import type { Cost } from "./peer.js";

/** One measured step of one tool in one repetition. */
export interface Measurement extends Cost {
  repetition: number;
  tool: string;
  /** Such as `full vm1`. */
  step: string;
  /** By how much data and catalog grew. */
  storedBytes: number;
  /** The catalog's part of it, where it does not lie among the data. */
  catalogBytes: number;
  /** Restores: how many entries or attributes differ from the source; a number cut at the comparison's limit. */
  differences?: number;
}

/** Medians over the repetitions. */
export interface Summary {
  step: string;
  tool: string;
  wallSeconds: number;
  wallRange: [number, number];
  reportedSeconds: number | undefined;
  cpuSeconds: number;
  peakRssBytes: number;
  storedBytes: number;
  catalogBytes: number;
  differences: number | undefined;
  /** Against Basalt, or against the first tool where Basalt did not run; above 1 is slower. */
  wallRatio: number;
  cpuRatio: number;
}

/** The middle value; the mean of the two middle ones when their number is even. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN, sorted[middle] ?? Number.NaN];
  return (low + high) / 2;
}

/** Medians for each step and tool, in the order of their first measurement, Basalt first in each step. */
export function summarize(measurements: Measurement[]): Summary[] {
  const steps = [...new Set(measurements.map((each) => each.step))];
  const tools = [...new Set(measurements.map((each) => each.tool))].sort((a, b) => rank(a) - rank(b));
  const rows: Summary[] = [];
  for (const step of steps) {
    const ofStep = tools
      .map((tool) => measurements.filter((each) => each.step === step && each.tool === tool))
      .filter((each) => each.length > 0)
      .map(summarizeOne);
    const [first] = ofStep;
    for (const row of ofStep) {
      row.wallRatio = row.wallSeconds / (first?.wallSeconds ?? Number.NaN);
      row.cpuRatio = row.cpuSeconds / (first?.cpuSeconds ?? Number.NaN);
    }
    rows.push(...ofStep);
  }
  return rows;
}

function rank(tool: string): number {
  return tool === "basalt" ? 0 : 1;
}

function summarizeOne(runs: Measurement[]): Summary {
  const walls = runs.map((run) => run.wallSeconds);
  const reported = runs.flatMap((run) => (run.reportedSeconds === undefined ? [] : [run.reportedSeconds]));
  const differences = runs.flatMap((run) => (run.differences === undefined ? [] : [run.differences]));
  return {
    step: runs[0]?.step ?? "",
    tool: runs[0]?.tool ?? "",
    wallSeconds: median(walls),
    wallRange: [Math.min(...walls), Math.max(...walls)],
    reportedSeconds: reported.length > 0 ? median(reported) : undefined,
    cpuSeconds: median(runs.map((run) => run.cpuSeconds)),
    peakRssBytes: median(runs.map((run) => run.peakRssBytes)),
    storedBytes: median(runs.map((run) => run.storedBytes)),
    catalogBytes: median(runs.map((run) => run.catalogBytes)),
    differences: differences.length > 0 ? Math.max(...differences) : undefined,
    wallRatio: 1,
    cpuRatio: 1,
  };
}

const HEAD = [
  "step",
  "tool",
  "wall s",
  "(range)",
  "ratio",
  "reported s",
  "CPU s",
  "ratio",
  "peak MB",
  "stored MB",
  "(catalog)",
  "differences",
  "goal",
];

/** Columns aligned with blanks, the first two and the last to the left; `goal` fills the last. */
export function formatTable(rows: Summary[], goal: (row: Summary) => string): string {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  const cells = rows.map((row, index) => [
    rows[index - 1]?.step === row.step ? "" : row.step,
    row.tool,
    row.wallSeconds.toFixed(2),
    `${row.wallRange[0].toFixed(1)}-${row.wallRange[1].toFixed(1)}`,
    row.wallRatio.toFixed(2),
    row.reportedSeconds?.toFixed(1) ?? "",
    row.cpuSeconds.toFixed(2),
    row.cpuRatio.toFixed(2),
    (row.peakRssBytes / 1e6).toFixed(0),
    megabytes(row.storedBytes),
    row.catalogBytes === 0 ? "" : megabytes(row.catalogBytes),
    row.differences === undefined ? "" : String(row.differences),
    goal(row),
  ]);
  return align([HEAD, ...cells], [0, 1, HEAD.length - 1]);
}

/** Cells as columns aligned to the right with blanks, those in `left` to the left. The first line is the longest. */
export function align(all: string[][], left: readonly number[]): string {
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string =>
    left.includes(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return all.map((line) => line.map(pad).join("  ").trimEnd()).join("\n");
}
