/** What the benchmark should reach, and whether it did. */
import type { Setting } from "./rounds.js";
import type { Measurement, Summary } from "./table.js";

/** What a daemon may have resident at any time. */
export const RSS_LIMIT_BYTES = 300e6;

/** Something that should hold. */
export interface Verdict {
  what: string;
  reached: string;
  goal: string;
  met: boolean;
}

type Metric = "wall" | "CPU" | "stored";

/** Largest medians at `--scale full`, for the machine that docs/performance.md names: seconds, seconds, bytes. */
const FULL_GOALS: { step: RegExp; goals: Partial<Record<Metric, number>> }[] = [
  { step: /^reference, first$/, goals: { wall: 9 } },
  { step: /^VM Full on Base/, goals: { wall: 3, CPU: 5 } },
  { step: /^VM Incremental/, goals: { wall: 1.7, CPU: 2.5 } },
  { step: /^unchanged VM/, goals: { wall: 1.5 } },
  { step: /^restore of /, goals: { wall: 10 } },
  { step: /^image, first$/, goals: { wall: 9 } },
  { step: /^image, changed$/, goals: { wall: 3, CPU: 4, stored: 70e6 } },
  { step: /^image restore$/, goals: { wall: 5 } },
];

const STORED_GOAL_BYTES = 1.45e9;
/** Steps after which the table's line `stored after all VM steps` is drawn. */
const VM_STEP = /^(reference, first|VM |unchanged VM)/;

function measured(row: Summary, metric: Metric): number {
  if (metric === "wall") return row.wallSeconds;
  return metric === "CPU" ? row.cpuSeconds : row.storedBytes;
}

function format(metric: Metric, value: number): string {
  return metric === "stored" ? `${(value / 1e6).toFixed(0)} MB` : `${Number(value.toFixed(2))} s`;
}

/** The goals of a row; only Basalt has any, and only at full scale. */
export function goalsOf(row: Summary, setting: Pick<Setting, "scale">): Verdict[] {
  if (row.tool !== "basalt" || setting.scale !== "full") return [];
  const goals = FULL_GOALS.find(({ step }) => step.test(row.step))?.goals ?? {};
  return Object.entries(goals).map(([name, limit]) => {
    const metric = name as Metric;
    const value = measured(row, metric);
    const [reached, goal] = [format(metric, value), format(metric, limit)];
    return { what: `${row.step}: ${metric}`, reached, goal: `<= ${goal}`, met: value <= limit };
  });
}

/** The table's goal column: `wall <= 9 s: met`. */
export function goalCell(row: Summary, setting: Pick<Setting, "scale">): string {
  const cells = goalsOf(row, setting).map(
    ({ what, goal, met }) => `${what.slice(row.step.length + 2)} ${goal}: ${met ? "met" : "MISSED"}`,
  );
  return cells.join(", ");
}

/** For each step, whether every backup system (not the floors) took longer than Basalt; ties count as not. */
export function aheadOfPeers(rows: readonly Summary[], floors: ReadonlySet<string>): Verdict[] {
  return rows
    .filter(({ tool }) => tool === "basalt")
    .flatMap((own) => {
      const peers = rows.filter(
        ({ step, tool }) => step === own.step && !tool.startsWith("basalt") && !floors.has(tool),
      );
      const best = peers.toSorted((a, b) => a.wallSeconds - b.wallSeconds)[0];
      if (best === undefined) return [];
      const reached = `${best.wallRatio.toFixed(2)} times as fast as ${best.tool}`;
      return [{ what: `${own.step}: ahead`, reached, goal: "> 1", met: best.wallSeconds > own.wallSeconds }];
    });
}

/** Whether what Basalt restored is what was backed up, for each restore that was compared. */
export function restoreVerdicts(rows: readonly Summary[]): Verdict[] {
  return rows.flatMap(({ step, tool, differences }) => {
    if (!tool.startsWith("basalt") || differences === undefined) return [];
    return [
      { what: `${step}: differences`, reached: String(differences), goal: "0", met: differences === 0 },
    ];
  });
}

/** What each tool stored in the steps of virtual machines of the first repetition, catalogs included. */
export function storedAfterVmSteps(measurements: readonly Measurement[]): Map<string, number> {
  const stored = new Map<string, number>();
  for (const { tool, step, repetition, storedBytes } of measurements)
    if (repetition === 0 && VM_STEP.test(step)) stored.set(tool, (stored.get(tool) ?? 0) + storedBytes);
  return stored;
}

function storedVerdict(setting: Setting): Verdict[] {
  const bytes = storedAfterVmSteps(setting.measurements).get("basalt");
  if (bytes === undefined || setting.scale !== "full") return [];
  const [reached, goal] = [bytes, STORED_GOAL_BYTES].map((value) => `${(value / 1e9).toFixed(2)} GB`);
  return [
    {
      what: "stored after all VM steps",
      reached: reached!,
      goal: `<= ${goal}`,
      met: bytes <= STORED_GOAL_BYTES,
    },
  ];
}

/** The largest size of filed and of storaged over all steps. */
function memoryVerdicts(measurements: readonly Measurement[]): Verdict[] {
  return ["filed", "storaged"].flatMap((daemon) => {
    const seen = measurements.filter(({ tool, daemons }) => tool.startsWith("basalt") && daemons?.[daemon]);
    const worst = seen.toSorted(
      (a, b) => b.daemons![daemon]!.peakRssBytes - a.daemons![daemon]!.peakRssBytes,
    )[0];
    if (worst === undefined) return [];
    const bytes = worst.daemons![daemon]!.peakRssBytes;
    const reached = `${(bytes / 1e6).toFixed(0)} MB in "${worst.step}"`;
    const goal = `< ${RSS_LIMIT_BYTES / 1e6} MB`;
    return [{ what: `peak resident size of ${daemon}`, reached, goal, met: bytes < RSS_LIMIT_BYTES }];
  });
}

/** Everything that should hold in this run. */
export function allVerdicts(setting: Setting, rows: readonly Summary[]): Verdict[] {
  const floors = new Set(setting.kinds.filter(({ floor }) => floor === true).map(({ name }) => name));
  return [
    ...rows.flatMap((row) => goalsOf(row, setting)),
    ...restoreVerdicts(rows),
    ...storedVerdict(setting),
    ...aheadOfPeers(rows, floors),
    ...setting.verdicts,
    ...memoryVerdicts(setting.measurements),
  ];
}
