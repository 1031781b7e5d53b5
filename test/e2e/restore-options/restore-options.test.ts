/** Restores: where to, which files, what makes way for them, and what stays out of reach. */
import { mkdir } from "node:fs/promises";
import { after, before, describe } from "node:test";
import { restoreTree } from "../../helpers/restore-tree.js";
import { Scenario } from "../../helpers/scenario.js";
import { runTreeOps } from "../../helpers/tree-ops.js";
import { hostileTests } from "./hostile.js";
import { replaceMachine, replaceTests } from "./replace.js";
import { selectionTests } from "./selection.js";
import { volumeMachines, volumePools, volumeTests } from "./volumes.js";

const MTIME = { mtimeNs: "1600000000000000009" };

/** What the sub-tests restore from. */
const TREE = restoreTree(MTIME);

describe("restore options", () => {
  let scenario: Scenario;
  const get = (): Scenario => scenario;

  before(async () => {
    scenario = await Scenario.create("restore-options", { keepConsole: true });
    await scenario.define([{ name: "machine" }, replaceMachine(scenario), ...volumeMachines], volumePools);
    await mkdir(scenario.path("machine"));
    await runTreeOps(scenario.path("machine"), TREE);
    await scenario.installation.startAll();
    await scenario.backup("machine", "Full");
  });

  after(() => scenario?.close());

  selectionTests(get);
  replaceTests(get);
  hostileTests(get);
  volumeTests(get);
});
