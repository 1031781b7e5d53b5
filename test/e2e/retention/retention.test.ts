/** What goes, what stays and why: keep-policies, purge and rebase of parents, volumes that are used again. */
import { after, before, describe } from "node:test";
import { Scenario } from "../../helpers/scenario.js";
import { filesMachines, filesPools, filesTests } from "./files.js";
import { keepMachines, keepTests } from "./keep.js";
import { parentMachines, parentPools, parentTests } from "./parents.js";
import { volumeMachines, volumePools, volumeTests } from "./volumes.js";

describe("retention", () => {
  let scenario: Scenario;
  const get = (): Scenario => scenario;

  before(async () => {
    scenario = await Scenario.create("retention", { keepConsole: true });
    await scenario.define(
      [...keepMachines, ...parentMachines, ...volumeMachines, ...filesMachines],
      [...parentPools, ...volumePools, ...filesPools],
    );
    await scenario.installation.startAll();
  });

  after(() => scenario?.close());

  keepTests(get);
  parentTests(get);
  volumeTests(get);
  filesTests(get);
});
