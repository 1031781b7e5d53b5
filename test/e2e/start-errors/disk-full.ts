/** A device without room: the job fails clearly, nothing else is harmed, and with room again all goes on. */
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { skipWithout } from "../../../common/test-needs.js";
import { endOf } from "../../helpers/program.js";
import { Scenario } from "../../helpers/scenario.js";
import { randomFiles, runProgram, runTreeOps } from "../../helpers/tree-ops.js";

const SIZE = "12m";

export function diskTests(): void {
  describe("disk full", () => {
    let scenario: Scenario;
    let mounted = false;

    before(async () => {
      scenario = await Scenario.create("disk-full", { keepConsole: true });
      const storage = join(scenario.installation.dir, "storage");
      const size = ["-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", storage];
      mounted = (await endOf("mount", size)).status === 0;
      if (!mounted) return;
      await scenario.define([{ name: "small" }, { name: "large" }]);
      for (const [name, size] of [
        ["small", 100_000],
        ["large", 1_500_000],
      ] as const) {
        await mkdir(scenario.path(name));
        await runTreeOps(scenario.path(name), randomFiles(10, size, name));
      }
      await scenario.installation.startAll();
    });

    after(async () => {
      await scenario?.installation.stop();
      if (mounted) await runProgram("umount", [join(scenario.installation.dir, "storage")]);
      await scenario?.close();
    });

    test("the job fails with the reason, earlier ones restore, the next one with room succeeds", async (t) => {
      // Root in a container may not mount either.
      if (!mounted) return skipWithout("the right to mount a small file system", t);
      const { installation } = scenario;
      await scenario.backup("small", "Full");
      const failed = await scenario.backup("large", "Full", "*** Backup Error ***");
      assert.match(failed.report, /Fatal error: .*Vol-0001.*(no space|ENOSPC)/i);
      await scenario.restoresAs("small", scenario.path("small"));
      await rm(scenario.path("large", "file-9"));
      await runProgram("mount", ["-o", "remount,size=64m", join(installation.dir, "storage")]);
      await scenario.backup("small", "Incremental");
      const next = await scenario.backup("large", "Full");
      assert.equal(next.lines.get("SD Errors"), "0");
      await scenario.restoresAs("large", scenario.path("large"));
      await scenario.restoresAs("small", scenario.path("small"));
      await runProgram(scenario.basalt, ["volume", "verify", scenario.volume("Vol-0001")]);
    });
  });
}
