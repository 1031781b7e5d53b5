/** One hypervisor with machines that go as files and machines that go as disk images: both at once, within limits. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { noise } from "../../helpers/random.js";
import { endReport, jobLog, jobStatus, startJob, until, untilStatus } from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { makeSparse } from "../../helpers/sparse.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";
import { sameImage } from "../image/sparse.js";

const MIB = 1024 * 1024;
const IMAGES = ["web1", "web2", "web3"];
const TREES = ["db1", "db2", "db3", "db4"];
/** Until they are let go: hours. */
const SLOW = { MaximumBandwidth: "1 kb/s" };
const BUSY_MS = 300_000;

describe("images beside files on one hypervisor", () => {
  let scenario: Scenario;
  const image = (name: string): string => scenario.path(`images/${name}.raw`);

  before(async () => {
    scenario = await Scenario.create("image-limits", { keepConsole: true });
    const { installation } = scenario;
    await mkdir(scenario.path("images"));
    for (const name of IMAGES) {
      makeSparse(image(name), 64 * MIB, [[5 * MIB, noise(MIB, name)]]);
      const common = {
        Client: "t-fd",
        FileSet: name,
        Storage: "File",
        Messages: "Standard",
        Pool: "Default",
      };
      await installation.writeResources(name, {
        FileSet: [{ Name: name, Include: { Image: [image(name)] } }],
        Job: [{ Name: name, Type: "Backup", Level: "Full", ...common, ...SLOW, Nice: 19, IoNice: "idle" }],
      });
    }
    for (const name of TREES) {
      await mkdir(scenario.path(name));
      const content = { kind: "random", size: MIB, seed: name } as const;
      await runTreeOps(scenario.path(name), [fileOp("data", content)]);
    }
    await scenario.define(TREES.map((name) => ({ name, level: "Full", job: SLOW })));
    await installation.editConfig("director", (text) =>
      text.replace(
        /(Client:\n(?:.*\n)*?) {4}MaximumConcurrentJobs: \d+/,
        "$1    MaximumConcurrentJobs: 6\n    MaximumConcurrentImageJobs: 2",
      ),
    );
    await installation.editConfig("filed", (text) =>
      text.replace(/MaximumConcurrentJobs: \d+/, "MaximumConcurrentJobs: 5"),
    );
    await installation.startAll();
  });
  after(() => scenario?.close());

  test("two images and three trees run together; a third image waits, a sixth job is refused by the client", async () => {
    const { installation } = scenario;
    const ids = new Map<string, number>();
    const start = async (name: string): Promise<number> => {
      const jobId = await startJob(installation, name);
      ids.set(name, jobId);
      return jobId;
    };
    for (const name of IMAGES) await start(name);
    const waiting = ids.get("web3")!;
    for (const name of TREES.slice(0, 3)) await start(name);
    // What the file daemon itself says: all five are in it at the same time.
    const together = [...IMAGES.slice(0, 2), ...TREES.slice(0, 3)];
    await until(
      "five jobs in the file daemon",
      async () => {
        const text = await installation.console(["status client=t-fd"]);
        return together.every((name) => new RegExp(`^JobId ${ids.get(name)} Job ${name}\\.`, "m").test(text));
      },
      BUSY_MS,
    );
    const status = await installation.console(["status dir"]);
    assert.match(status, new RegExp(`^ +${waiting} .*is waiting on max Client image jobs`, "m"));
    const again = await start("db1");
    const more = await installation.console(["status dir"]);
    assert.match(more, new RegExp(`^ +${again} .*is waiting on max Job jobs`, "m"));
    const refused = await start("db4");
    await untilStatus(installation, refused, "fE");
    assert.match(jobLog(installation, refused), /runs 5 jobs already \(MaximumConcurrentJobs\)/);
    await installation.console([`cancel jobid=${again} yes`, "setbandwidth limit=0 client=t-fd"]);
    await installation.console(["wait"]);
    for (const name of [...IMAGES, "db2", "db3"]) {
      const report = await endReport(installation, ids.get(name)!);
      assert.equal(report.termination, "Backup OK", report.report);
    }
    assert.equal(jobStatus(installation, again), "A");
  });

  test("what ran side by side comes back", async () => {
    for (const name of IMAGES) {
      const where = await scenario.restore(name);
      sameImage(image(name), join(where, image(name)));
    }
    await scenario.restoresAs("db3", scenario.path("db3"));
  });

  test("show tells the limit", async () => {
    const shown = await scenario.installation.console(["show client=t-fd"]);
    assert.match(shown, /MaxJobs=6\n +MaxImageJobs=2\n/);
  });
});
