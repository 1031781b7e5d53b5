/** An autochanger without a command: two drives over one directory, jobs spread over them. */
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { describe, test } from "node:test";
import { findReport } from "../../helpers/job-report.js";
import { jobLog } from "../../helpers/running.js";
import type { Scenario } from "../../helpers/scenario.js";
import { makeTree } from "./limits.js";

const SLOW = { ReadLimit: "3 mb/s", Storage: "Virtual" };

export function virtualTests(get: () => Scenario): void {
  describe("drives over one directory", () => {
    test("label asks for drive and slot", async () => {
      const scenario = get();
      await scenario.redefine(
        [
          { name: "left", pool: "Shelf", job: SLOW },
          { name: "right", pool: "Shelf", job: SLOW },
        ],
        [{ name: "Shelf", Deduplicate: false, MaximumVolumeBytes: "6 mib" }],
      );
      const text = await scenario.installation.console([
        "label storage=Virtual volume=By-Hand pool=Shelf",
        "1",
        "",
        "mount storage=Virtual drive=0 slot=0",
        "unmount storage=Virtual drive=1",
        "release storage=Virtual drive=0 slot=0",
        "automount off",
        "label storage=Virtual volume=By-Hand-2 pool=Default drive=0 slot=0",
        "status storage=Virtual",
        "update slots storage=Virtual drive=0",
        // The console is used again.
        "automount on",
      ]);
      assert.match(text, /^Enter autochanger drive\[0\]: 1\nEnter slot \(0 or Enter for none\): \n/m);
      assert.match(
        text,
        /3000 OK label\. VolBytes=\d+ Volume="By-Hand" Device="Virtual-1" \(.*\/virtual\)\n/,
      );
      assert.match(
        text,
        /^Requesting to mount Virtual \.\.\.\n3906 File device "Virtual-1" \(.*\/virtual\) is always mounted\./m,
      );
      assert.match(text, /^3901 Device "Virtual-1" \(.*\/virtual\) is already unmounted\.$/m);
      assert.match(text, /^3921 Device "Virtual-0" \(.*\/virtual\) already released\.$/m);
      assert.match(
        text,
        /"By-Hand-2", Slot 0 {2}successfully created\.\nstatus storage/,
        "no mount is asked for",
      );
      assert.match(
        text,
        /^Autochanger "Virtual" with devices:\n {3}"Virtual-0" \(.*\/virtual\)\n {3}"Virtual-1" /m,
      );
      assert.match(text, /^Device "Virtual" has 0 slots\.$/m);
      assert.ok(statSync(`${scenario.installation.dir}/virtual/By-Hand`).size > 100);
    });

    test("two jobs of one pool at the same time: a drive each, and volume after volume", async () => {
      const scenario = get();
      for (const name of ["left", "right"]) await makeTree(scenario.path(name), 6, name);
      const text = await scenario.installation.console([
        "run job=left level=Full yes",
        "run job=right level=Full yes",
        "@sleep 2",
        "status storage=Virtual",
        "wait",
        "messages",
      ]);
      const ids = [...text.matchAll(/^Job queued\. JobId=(\d+)/gm)].map(([, id]) => Number(id));
      const volumes = ids.map((id) => findReport(text, id)?.lines.get("Volume name(s)")?.split("|") ?? []);
      assert.deepEqual(
        volumes.map((names) => names.length),
        [2, 2],
        text,
      );
      assert.equal(new Set(volumes.flat()).size, 4);
      const drives = ids.map(
        (id) => /Using Device "(\S+)" to write\./.exec(jobLog(scenario.installation, id))?.[1],
      );
      assert.deepEqual(drives.sort(), ["Virtual-0", "Virtual-1"]);
      for (const drive of drives)
        assert.match(
          text,
          new RegExp(`Device File: "${drive}" \\(.*/virtual\\) is mounted with:\n +Volume: `),
        );
      for (const id of ids) assert.equal(findReport(text, id)?.termination, "Backup OK", text);
      for (const name of ["left", "right"]) await scenario.restoresAs(name, scenario.path(name));
    });
  });
}
