/** Matching against the Bases and the last run, one sub-test for each rule, on one installation. */
import { mkdir } from "node:fs/promises";
import { after, before, describe } from "node:test";
import { type Machine, Scenario } from "../../helpers/scenario.js";
import { runTreeOps } from "../../helpers/tree-ops.js";
import { baseMachines, basePools, baseTests } from "./bases.js";
import { deletionMachines, deletionTests } from "./deletions.js";
import { levelMachines, levelTests } from "./levels.js";
import { linkMachines, linkTests } from "./links.js";
import { racingMachines, racingTests } from "./racing.js";
import { referenceTree, vouchingMachines, vouchingTests } from "./vouching.js";

describe("matching", () => {
  let scenario: Scenario;
  const get = (): Scenario => scenario;

  before(async () => {
    scenario = await Scenario.create("matching", { keepConsole: true });
    const machines: Machine[] = [
      { name: "reference", level: "Base" },
      ...vouchingMachines,
      ...levelMachines,
      ...deletionMachines,
      ...linkMachines,
      ...racingMachines,
      ...baseMachines,
    ];
    await scenario.define(machines, basePools);
    await mkdir(scenario.path("reference"));
    await runTreeOps(scenario.path("reference"), referenceTree());
    await scenario.installation.startAll();
    await scenario.backup("reference", "Base");
  });

  after(() => scenario?.close());

  vouchingTests(get);
  baseTests(get);
  levelTests(get);
  deletionTests(get);
  linkTests(get);
  racingTests(get);
});
