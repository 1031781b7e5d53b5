/** An autochanger whose command moves files: four slots, two drives. */
import assert from "node:assert/strict";
import { existsSync, readlinkSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { findReport } from "../../helpers/job-report.js";
import { jobLog } from "../../helpers/running.js";
import type { Scenario } from "../../helpers/scenario.js";
import { runProgram } from "../../helpers/tree-ops.js";
import { jobIdIn, makeTree } from "./limits.js";

export function robotTests(get: () => Scenario): void {
  describe("a changer with a command", () => {
    const at = (name: string): string => join(get().installation.dir, "robot", name);

    test("label loads the slot; mount, unmount and release say what they do", async () => {
      const scenario = get();
      await scenario.redefine(
        [
          { name: "boxed", pool: "Boxes", job: { Storage: "Robot" } },
          { name: "other", pool: "Others", job: { Storage: "Robot" } },
        ],
        [
          { name: "Boxes", MaximumVolumeBytes: "4 mib", Deduplicate: false, LabelFormat: undefined },
          { name: "Others", Deduplicate: false, LabelFormat: undefined },
        ],
      );
      const text = await scenario.installation.console([
        "label storage=Robot volume=Box-1 pool=Boxes slot=1 drive=0",
        "label storage=Robot volume=Box-2 pool=Boxes drive=0",
        "2",
        "label storage=Robot volume=Box-3 pool=Boxes slot=3 drive=1",
        "label storage=Robot volume=Box-9 pool=Boxes slot=3 drive=1",
        "status storage=Robot",
        "label barcodes storage=Robot pool=Others drive=0",
        "yes",
        "list volumes pool=Boxes",
        "unmount storage=Robot drive=1",
        "unmount storage=Robot drive=1",
        "mount storage=Robot drive=1 slot=2",
        "release storage=Robot drive=0 slot=0",
        "release storage=Robot drive=0 slot=0",
      ]);
      assert.match(
        text,
        /Sending label command for Volume "Box-1" Slot 1 \.\.\.\n[\s\S]*?3304 Issuing autochanger "load slot 1, drive 0" command\.\n3305 Autochanger "load slot 1, drive 0", status is OK\.\n3000 OK label\. VolBytes=\d+ Volume="Box-1" Device="Robot-0" \(.*\/robot\/drive0\)\nCatalog record for Volume "Box-1", Slot 1 {2}successfully created\.\nRequesting to mount Robot \.\.\.\n3002 Device "Robot-0" \(.*drive0\) is mounted with Volume "Box-1"\.\n/,
      );
      assert.match(text, /^Enter slot \(0 or Enter for none\): 2\n/m);
      assert.match(
        text,
        /3307 Issuing autochanger "unload slot 1, drive 0" command\.\n3304 Issuing autochanger "load slot 2, drive 0"/,
      );
      assert.match(text, /Label command failed for Volume Box-9: .*already labeled: "Box-3"/);
      assert.match(text, /^ {4}Slot 2 is loaded in drive 0\.$/m);
      assert.match(text, /The following Volumes will be labeled:\nSlot {2}Volume\n=+\n {3}4 {2}Code-4\n/);
      assert.match(text, /Catalog record for Volume "Code-4", Slot 4 {2}successfully created\./);
      assert.match(text, /^3002 Device "Robot-1" \(.*drive1\) unmounted\.$/m);
      assert.match(text, /^3901 Device "Robot-1" \(.*drive1\) is already unmounted\.$/m);
      assert.match(text, /^3002 Device "Robot-1" \(.*drive1\) is mounted with Volume "Box-2"\.$/m);
      assert.match(text, /^3022 Device "Robot-0" \(.*drive0\) released\.$/m);
      assert.match(text, /^3921 Device "Robot-0" \(.*drive0\) already released\.$/m);
      assert.equal(readlinkSync(at("drive1")), at("slot2"));
      assert.ok(!existsSync(at("drive0")));
    });

    test("a job over three slots, and a restore of it", async () => {
      const scenario = get();
      await makeTree(scenario.path("boxed"), 6, "boxed");
      const report = await scenario.backup("boxed", "Full");
      const names = report.lines.get("Volume name(s)")?.split("|") ?? [];
      assert.deepEqual([...names].sort(), ["Box-1", "Box-2", "Box-3"], report.report);
      for (const slot of [1, 2, 3]) assert.ok(statSync(at(`slot${slot}`)).size > 1_000_000);
      const log = jobLog(scenario.installation, report.jobId);
      assert.match(log, /Using Device "Robot-\d" to write\./);
      assert.match(log, /3304 Issuing autochanger "load slot \d, drive \d" command\./);
      assert.match(log, /New volume "Box-\d" mounted on File device "Robot-\d" /);
      await scenario.restoresAs("boxed", scenario.path("boxed"));
    });

    test("two jobs of two pools use both drives; the daemon's restart forgets nothing", async () => {
      const scenario = get();
      await makeTree(scenario.path("other"), 2, "other");
      const text = await scenario.installation.console([
        "update volume=Box-1 volstatus=Append maxvolbytes=0",
        "run job=boxed level=Full yes",
        "run job=other level=Full yes",
        "wait",
        "messages",
      ]);
      for (const id of [jobIdIn(text), jobIdIn(text) + 1])
        assert.equal(findReport(text, id)?.termination, "Backup OK", text);
      await scenario.installation.kill("storaged", "SIGTERM");
      await scenario.installation.start("storaged");
      await scenario.installation.waitReady();
      for (const name of ["boxed", "other"]) await scenario.restoresAs(name, scenario.path(name));
    });

    test("update slots by barcodes, update slots scan by labels", async () => {
      const { installation } = get();
      const text = await installation.console([
        "update slots storage=Robot drive=0",
        "list volumes pool=Boxes",
        "update slots scan storage=Robot drive=0",
        "llist volume=Box-2",
      ]);
      assert.match(
        text,
        /^3306 Issuing autochanger "slots" command\.\nDevice "Robot" has 4 slots\.\n3306 Issuing autochanger "list" command\.\n/m,
      );
      assert.match(text, /^No VolName for Slot=1 InChanger set to zero\.$/m);
      assert.match(text, /^Catalog record for Volume "Code-4" is up to date\.$/m);
      assert.match(text, /^Catalog record for Volume "Box-2" updated to reference slot 2\.$/m);
      assert.match(text, /^ +Slot: 2$[\s\S]*^ +InChanger: 1$/m);
      await rm(at("barcodes"));
    });

    test("the catalog is lost: it is made again from the slots, and update slots scan finds the volumes", async () => {
      const scenario = get();
      const { installation } = scenario;
      await installation.console([
        "release storage=Robot drive=0 slot=0",
        "release storage=Robot drive=1 slot=0",
      ]);
      await installation.kill("storaged", "SIGTERM");
      const catalog = join(installation.dir, "var", "storaged", "catalog.db");
      for (const end of ["", "-wal", "-shm"]) await rm(`${catalog}${end}`, { force: true });
      const slots = [1, 2, 3, 4].map((slot) => at(`slot${slot}`));
      const config = join(installation.dir, "storaged.yaml");
      await runProgram(scenario.basalt, ["volume", "scan", ...slots, "-c", config]);
      await installation.start("storaged");
      await installation.waitReady();
      const text = await installation.console(["update slots scan storage=Robot drive=1"]);
      assert.match(text, /^Catalog record for Volume "Box-3" updated to reference slot 3\.$/m);
      for (const name of ["boxed", "other"]) await scenario.restoresAs(name, scenario.path(name));
    });
  });
}
