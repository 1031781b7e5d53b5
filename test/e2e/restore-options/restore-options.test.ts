/** Restores: where to, which files, what makes way for them, and what stays out of reach. */
import { mkdir } from "node:fs/promises";
import { after, before, describe } from "node:test";
import { Scenario } from "../../helpers/scenario.js";
import { dirOp, fileOp, runTreeOps, type TreeOp } from "../../helpers/tree-ops.js";
import { hostileTests } from "./hostile.js";
import { replaceMachine, replaceTests } from "./replace.js";
import { selectionTests } from "./selection.js";
import { volumeMachines, volumePools, volumeTests } from "./volumes.js";

const MTIME = { mtimeNs: "1600000000000000009" };
const file = (path: string, size = 2000): TreeOp => fileOp(path, { kind: "random", size, seed: path }, MTIME);

/** What the sub-tests restore from. */
const TREE: TreeOp[] = [
  dirOp("etc", { mode: 0o750 }),
  file("etc/conf"),
  file("etc/other"),
  dirOp("etc/sub"),
  file("etc/sub/deep"),
  dirOp("links"),
  file("links/one", 5000),
  { op: "entry", type: "link", path: "links/two", target: "links/one" },
  { op: "entry", type: "link", path: "three", target: "links/one" },
  { op: "entry", type: "symlink", path: "etc/soft", target: "../three" },
  file("large", 3_000_000),
  file("plain"),
];

describe("restore options", () => {
  let scenario: Scenario;
  const get = (): Scenario => scenario;

  before(async () => {
    scenario = await Scenario.create("restore-options");
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
