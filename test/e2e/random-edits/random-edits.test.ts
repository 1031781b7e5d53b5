/**
 * Random trees, random changes, random levels: every state comes back, right after its run and at the end.
 *
 * The same seed makes the same trees: set BASALT_SEED (a number, or "random") and BASALT_ROUNDS to search further.
 */
import { randomInt } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Random } from "../../helpers/random.js";
import { REPOSITORY } from "../../helpers/root.js";
import { copyTree, type Expectation, Scenario } from "../../helpers/scenario.js";
import { runProgram } from "../../helpers/tree-ops.js";

const WANTED = process.env.BASALT_SEED ?? "1";
const SEED = WANTED === "random" ? randomInt(1_000_000) : Number(WANTED);
const ROUNDS = Number(process.env.BASALT_ROUNDS ?? 4);

describe(`random edits, BASALT_SEED=${SEED}`, () => {
  const random = new Random(SEED);
  let scenario: Scenario;
  const states: Expectation[] = [];
  /** Runs whose rows make up the newest state, and where its last Differential or Full is. */
  let chain: number[] = [];
  let step = 0;

  const edit = (name: string, count: number): Promise<string> => {
    const program = join(REPOSITORY, "test/e2e/random-edits/random-edit.py");
    return runProgram("python3", [program, scenario.path(name), `${SEED} ${++step}`, String(count)]);
  };

  before(async () => {
    scenario = await Scenario.create("random-edits", { keepConsole: true });
    await scenario.define([
      { name: "reference", level: "Base" },
      { name: "vm", base: ["reference"] },
    ]);
    await mkdir(scenario.path("reference"));
    await edit("reference", 150);
    await copyTree(scenario.path("reference"), scenario.path("vm"));
    await scenario.installation.startAll();
    await scenario.backup("reference", "Base");
  });

  after(() => scenario?.close());

  const run = async (level: "Full" | "Differential" | "Incremental"): Promise<void> => {
    const changes = await edit("vm", 25);
    const expected = scenario.path(`saved-${states.length}`);
    await copyTree(scenario.path("vm"), expected);
    try {
      const { jobId } = await scenario.backupAndRestore("vm", level, expected);
      if (level === "Full") chain = [jobId];
      else if (level === "Differential") chain = [chain[0]!, jobId];
      else chain = [...chain, jobId];
      states.push({ expected, jobIds: chain });
    } catch (error) {
      console.log(`changes before this ${level}:\n${changes}`);
      throw error;
    }
  };

  test("each state comes back", async () => {
    // A first run cannot tell content that was changed quietly from the reference's: it takes none of the edits.
    states.push({ expected: scenario.path("reference"), jobIds: [] });
    const { jobId } = await scenario.backupAndRestore("vm", "Full", scenario.path("reference"));
    chain = [jobId];
    states[0]!.jobIds = chain;
    for (let round = 0; round < ROUNDS; round++) {
      const level = (["Incremental", "Incremental", "Differential", "Full"] as const)[random.below(4)]!;
      await run(level);
    }
    await scenario.restoreEach("vm", states);
  });
});
