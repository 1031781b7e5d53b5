/** Memory does not grow with the tree: 200,000 entries against 1,000,000. Prints the figures it measures. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { DAEMONS, type Daemon } from "../../helpers/installation.js";
import { reportSeconds } from "../../helpers/job-report.js";
import { REPOSITORY } from "../../helpers/root.js";
import { Scenario, sameTrees, wrote } from "../../helpers/scenario.js";
import { runProgram } from "../../helpers/tree-ops.js";

const LIMIT_KIB = 300 * 1024;
const GROWTH = 1.1;
const PATIENCE = { timeoutMs: 1_800_000 };

type Peaks = Record<Daemon, number>;

/** Highest resident size of a process so far, KiB. */
async function peakOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
}

/** Full, Incremental and a partial restore of a tree with so many more files. */
async function measure(others: number, say: (text: string) => void): Promise<Peaks> {
  const scenario = await Scenario.create("million");
  try {
    const root = scenario.path("tree");
    await runProgram("python3", [join(REPOSITORY, "test/e2e/million/make-tree.py"), root, String(others)]);
    await scenario.define([{ name: "tree" }]);
    await scenario.installation.startAll();
    for (const level of ["Full", "Incremental"]) {
      const report = await scenario.installation.runJob("tree", { level, ...PATIENCE });
      assert.equal(report.termination, "Backup OK", report.report);
      say(
        `${others + 201_000} files, ${level}: ${reportSeconds(report)} s, ${report.lines.get("SD Files Written")} rows`,
      );
      if (level === "Incremental") wrote(report, { files: 0, sent: 0 });
    }
    const where = await scenario.restore("tree", { files: ["/part"], ...PATIENCE });
    await sameTrees(`${root}/part`, `${where}/part`);
    const peaks = { director: 0, filed: 0, storaged: 0 };
    for (const daemon of DAEMONS) peaks[daemon] = await peakOf(scenario.installation.pid(daemon));
    say(`${others + 201_000} files, peak KiB: ${JSON.stringify(peaks)}`);
    return peaks;
  } finally {
    await scenario.close();
  }
}

describe("a million files", () => {
  test("the peak of every daemon is below 300 MiB and hardly above that of 200,000", async (context) => {
    const say = (text: string): void => context.diagnostic(text);
    const few = await measure(0, say);
    const many = await measure(799_000, say);
    for (const daemon of DAEMONS) {
      assert.ok(many[daemon] < LIMIT_KIB, `${daemon}: ${many[daemon]} KiB`);
      assert.ok(
        many[daemon] <= few[daemon] * GROWTH,
        `${daemon}: ${few[daemon]} KiB became ${many[daemon]} KiB`,
      );
    }
  });
});
