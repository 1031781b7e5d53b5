/** The console as scripts and as people use it. */
import { mkdir } from "node:fs/promises";
import { after, before, describe } from "node:test";
import { Scenario } from "../../helpers/scenario.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";
import { commandTests } from "./commands.js";
import { restoreTests } from "./restore.js";
import { terminalTests } from "./terminal.js";

const MTIME = { mtimeNs: "1600000000000000009" };

describe("console", () => {
  let scenario: Scenario;
  const get = (): Scenario => scenario;

  before(async () => {
    scenario = await Scenario.create("console");
    // Only the jobs of these tests: choice lists stay as short as they are written here.
    await scenario.installation.editConfig("director", (text) =>
      text
        .replace(/^ {2}- Name: BackupClient1\n {4}JobDefs: DefaultJob\n/m, "")
        .replace(/^ {2}- Name: BackupCatalog\n(?: {4}.*\n)+/m, ""),
    );
    await scenario.define([{ name: "vm" }]);
    await mkdir(scenario.path("vm"));
    const file = (path: string, size: number) => fileOp(path, { kind: "text", size, seed: path }, MTIME);
    await runTreeOps(scenario.path("vm"), [
      { op: "entry", type: "dir", path: "etc" },
      { op: "entry", type: "dir", path: "etc/sub" },
      { op: "entry", type: "dir", path: "data" },
      file("etc/conf", 1500),
      file("etc/sub/deep", 20),
      file("data/with blank", 7),
      file("data/plain", 100),
      { op: "entry", type: "symlink", path: "data/soft", target: "../etc/conf" },
    ]);
    await scenario.installation.startAll();
  });
  after(() => scenario?.close());

  commandTests(get);
  restoreTests(get);
  terminalTests(get);
});
