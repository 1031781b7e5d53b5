/** Verify jobs of all levels, and what happens when volumes are damaged, with real daemons. */
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { after, before, describe } from "node:test";
import { Random } from "../../helpers/random.js";
import { copyTree, Scenario } from "../../helpers/scenario.js";
import { damageTests } from "./damage.js";
import { levelTests, verify } from "./levels.js";

describe("verify", () => {
  let scenario: Scenario;
  const get = (): Scenario => scenario;

  before(async () => {
    scenario = await Scenario.create("verify", { keepConsole: true });
    await scenario.define([
      { name: "m", options: { Verify: "pugsm5" } },
      { name: "reference", level: "Base" },
      { name: "vm", base: ["reference"] },
    ]);
    const common = { Client: "t-fd", FileSet: "m", Storage: "File", Messages: "Standard" };
    const Job = [{ Name: "verify-m", Type: "Verify", Level: "Data", VerifyJob: "m", ...common }];
    await scenario.installation.writeResources("verify-m", { Job });
    const root = scenario.path("m");
    await mkdir(`${root}/files`, { recursive: true });
    const random = new Random(1);
    for (let i = 0; i < 40; i++) {
      await writeFile(`${root}/files/f${String(i).padStart(2, "0")}`, random.bytes(70_000), { mode: 0o644 });
    }
    await writeFile(`${root}/large`, random.bytes(3_000_000));
    await symlink("files/f01", `${root}/link`);
    await mkdir(scenario.path("reference"));
    for (let i = 0; i < 5; i++) await writeFile(scenario.path("reference", `r${i}`), random.bytes(30_000));
    await copyTree(scenario.path("reference"), scenario.path("vm"));
    await scenario.installation.startAll();
    await scenario.backup("m", "Full");
    await copyTree(root, scenario.path("full"));
    await writeFile(`${root}/files/f01`, random.bytes(50_000));
    await scenario.backup("m", "Incremental");
    await copyTree(root, scenario.path("before"));
    await verify(scenario, "InitCatalog");
  });

  after(() => scenario?.close());

  levelTests(get);
  damageTests(get);
});
