/** Volumes with limits: a job that spans several, names by templates and counters, records without labels. */
import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { describe, test } from "node:test";
import { findReport } from "../../helpers/job-report.js";
import type { Scenario } from "../../helpers/scenario.js";
import { fileOp, runTreeOps } from "../../helpers/tree-ops.js";

const MIB = 1024 * 1024;

/** Files of 1.5 MiB, no two alike. */
export async function makeTree(root: string, files: number, seed: string): Promise<void> {
  await mkdir(root, { recursive: true });
  const ops = Array.from({ length: files }, (_, index) =>
    fileOp(`file-${index}`, { kind: "random", size: 1.5 * MIB, seed: `${seed} ${index}` }),
  );
  await runTreeOps(root, ops);
}

export function limitTests(get: () => Scenario): void {
  describe("limits of volumes", () => {
    test("a backup goes over several volumes and comes back whole", async () => {
      const scenario = get();
      await scenario.define(
        [
          { name: "wide", pool: "Span" },
          { name: "named", pool: "Named" },
          { name: "added", pool: "Added" },
        ],
        [
          { name: "Span", MaximumVolumeBytes: "4 mib", Deduplicate: false },
          {
            // biome-ignore lint/suspicious/noTemplateCurlyInString: variables of Bacula
            ...{ name: "Named", LabelFormat: "${Pool}-${Year:p/6/0/r}-${Tape+:p/3/0/r}" },
            ...{ MaximumVolumeJobs: 1, Deduplicate: false },
          },
          { name: "Added", LabelFormat: undefined },
        ],
      );
      await makeTree(scenario.path("wide"), 6, "wide");
      await scenario.installation.startAll();
      const report = await scenario.backup("wide", "Full");
      const names = report.lines.get("Volume name(s)")?.split("|") ?? [];
      assert.deepEqual(names, ["Span-0001", "Span-0002", "Span-0003"], report.report);
      for (const name of names) assert.ok(statSync(scenario.volume(name)).size <= 4 * MIB, name);
      await scenario.restoresAs("wide", scenario.path("wide"));
      const text = await scenario.installation.console(["list joblog jobid=1", "list volumes"]);
      const device = String.raw`(File )?device "FileStorage" \(.*/storage\)`;
      assert.match(text, new RegExp(`Labeled new Volume "Span-0001" on ${device}\\.`));
      assert.match(text, new RegExp(`Wrote label to prelabeled Volume "Span-0001" on ${device}`));
      assert.match(
        text,
        new RegExp(`User defined maximum volume size 4194304 will be exceeded on ${device}\\.`),
      );
      assert.match(text, /End of medium on Volume "Span-0001" Bytes=\d+ Blocks=\d+ at /);
      assert.match(text, new RegExp(`New volume "Span-0002" mounted on ${device} at `));
      assert.match(text, /\| Span-0002 +\| Full /);
    });

    test("names by a template with a counter, which begins anew behind its maximum", async () => {
      const scenario = get();
      await makeTree(scenario.path("named"), 1, "named");
      const year = String(new Date().getFullYear()).padStart(6, "0");
      const used: string[] = [];
      for (let run = 0; run < 2; run++) {
        const report = await scenario.backup("named", "Full");
        used.push(report.lines.get("Volume name(s)") ?? "");
      }
      assert.deepEqual(used, [`Named-${year}-007`, `Named-${year}-008`]);
      const text = await scenario.installation.console([
        "list volumes pool=Named",
        "run job=named level=Full yes",
        "wait mount",
        "update pool=Named",
        "cancel job=named yes",
        "wait",
      ]);
      assert.match(text, /\| Named-\d+-007 +\| Used /, "its one job is over");
    });

    test("add: a record is labelled when a job first uses it", async () => {
      const scenario = get();
      await makeTree(scenario.path("added"), 1, "added");
      const text = await scenario.installation.console([
        "add pool=Added storage=File",
        "2",
        "Late-",
        "0",
        "3",
        "list volumes",
        "run job=added level=Full yes",
        "wait",
        "messages",
        "update volume=Late-0003 volstatus=Full maxvolbytes=5m voluse=1h maxvoljobs=4 volretention=2days",
        "update volume=Late-0004 volstatus=Purged",
        "update volume=Nosuch volstatus=Full",
      ]);
      assert.match(text, /Enter number of Volumes to create\. 0=>fixed name\. Max=1000: 2\n/);
      assert.match(text, /Enter base volume name: Late-\nEnter the starting number: 0\n/);
      assert.match(text, /Start number must be greater than zero\.\nEnter the starting number: 3\n/);
      assert.match(text, /^2 Volumes created in pool Added$/m);
      assert.match(text, /\| Late-0004 +\| Append +\|/);
      assert.match(text, /Labeled new Volume "Late-0003" on File device "FileStorage"/);
      assert.equal(findReport(text, jobIdIn(text))?.lines.get("Volume name(s)"), "Late-0003", text);
      assert.ok(existsSync(scenario.volume("Late-0003")) && !existsSync(scenario.volume("Late-0004")));
      assert.match(text, /^New Volume status is: Full\n/m);
      assert.match(text, /^New Max bytes is: \d+\n/m);
      assert.match(text, /^Invalid VolStatus specified: Purged$/m);
      assert.match(text, /^Volume "Nosuch" not found\.$/m);
      await scenario.restoresAs("added", scenario.path("added"));
    });
  });
}

/** The JobId that a console printed first. */
export function jobIdIn(text: string): number {
  return Number(/^Job queued\. JobId=(\d+)/m.exec(text)?.[1]);
}
