/** The five ways to restore, as dialogues. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { type Scenario, sameTrees } from "../../helpers/scenario.js";
import { session } from "./session.js";

const ASKED =
  /\n\d+ files? selected to be restored\.\n[\s\S]*Run Restore job\nJobName: +RestoreFiles\n[\s\S]*Where: +\/[\s\S]*OK to run\? \(yes\/mod\/no\): $/;

export function restoreTests(get: () => Scenario): void {
  describe("restores", () => {
    test("select all done", async () => {
      const scenario = get();
      const where = scenario.path("by-all");
      await session(scenario, [
        [
          `restore where=${where} select all done`,
          /\nYou have selected the following JobIds?: 1(,\d+)*\n[\s\S]*9 files inserted into the tree and marked for extraction\.\n/,
        ],
        ["yes", /^Job queued\. JobId=\d+\n/],
        ["wait"],
        [
          "messages",
          /Restoring files from JobId\(s\) 1[\s\S]*Files Expected: +9\n[\s\S]*Termination: {12}Restore OK\n/,
        ],
      ]);
      await sameTrees(scenario.path("vm"), where);
    });

    test("the tree: ls, cd, mark, unmark, find, lsmark, dir, count, estimate, done", async () => {
      const scenario = get();
      const where = scenario.path("by-tree");
      await session(scenario, [
        [
          `restore where=${where} client=t-fd fileset=vm select`,
          /\n9 files inserted into the tree\.\n[\s\S]*\ncwd is: \/\n\$ $/,
        ],
        ["unmark *", "No files unmarked.\n$ "],
        ["ls", "data/\netc/\n$ "],
        ["cd etc", "cwd is: /etc/\n$ "],
        ["pwd", "cwd is: /etc/\n$ "],
        ["mark conf", "1 file marked.\n$ "],
        ["ls", "*conf\nsub/\n$ "],
        ["mark none*", "No files marked.\n$ "],
        ["cd /data", "cwd is: /data/\n$ "],
        ['mark "with blank" pl*', "2 files marked.\n$ "],
        ["unmark plain", "1 file unmarked.\n$ "],
        ["find *conf*", "*/etc/conf\n$ "],
        ["lsmark", "*with blank\n$ "],
        ["dir with*", /^-rw------- .* 7 2020-09-13 .*\*\/data\/with blank\n\$ $/],
        ["count", /^9 total files\/dirs\. \d marked to be restored\.\n\$ $/],
        ["estimate", /^9 total files; \d marked to be restored; 1,507 bytes\.\n\$ $/],
        ["xyz", 'Invalid command "xyz".  Enter "done" to exit.\n$ '],
        ["help", /lsmark/],
        ["done", ASKED],
        ["yes", /^Job queued\. JobId=\d+\n/],
        ["wait"],
      ]);
      assert.deepEqual(await scenario.names(where), ["data", "data/with blank", "etc", "etc/conf"]);
    });

    test("file=, a list of files, and nothing found", async () => {
      const scenario = get();
      const where = scenario.path("by-file");
      await session(scenario, [
        [
          `restore where=${where} client=t-fd fileset=vm file=/etc/conf file=/nowhere yes`,
          /\n1 file selected to be restored\.\n[\s\S]*Job queued\. JobId=\d+\n/,
        ],
        ["wait"],
        [
          `restore where=${where} client=t-fd fileset=vm file=/nowhere yes`,
          /No files selected to be restored\.\n$/,
        ],
      ]);
      assert.deepEqual(await scenario.names(where), ["etc", "etc/conf"]);
    });

    test("jobid= with mod of where and replace", async () => {
      const scenario = get();
      const where = scenario.path("by-jobid");
      await session(scenario, [
        [`restore where=${scenario.path("elsewhere")} jobid=1 all done`, ASKED],
        ["mod", /^Parameters to modify:\n[\s\S]* {5}9: Where\n[\s\S]* 11: Replace\n[\s\S]*\(1-13\): $/],
        ["9", /: $/],
        [where, new RegExp(`Where: +${where}\n`)],
        ["mod"],
        ["11", /^Replace:\n[\s\S]* {5}4: Never\nSelect replace option \(1-4\): $/],
        ["4", /Replace: +Never\n/],
        ["yes", /^Job queued/],
        ["wait"],
      ]);
      await sameTrees(scenario.path("vm"), where);
      assert.ok(!existsSync(scenario.path("elsewhere")));
    });

    test("the menu", async () => {
      const scenario = get();
      const [third, seventh, eleventh] = ["menu-3", "menu-7", "menu-11"].map((name) => scenario.path(name));
      const menu =
        /\nTo select the JobIds, you have the following choices:\n {5}1: List last 20 Jobs run\n[\s\S]* {4}13: Cancel\nSelect item: {2}\(1-13\): $/;
      await session(scenario, [
        ["restore", menu],
        ["1", /\| 1 +\| t-fd [\s\S]*13: Cancel\n/],
        ["13", ""],
        [`restore where=${third}`, menu],
        ["3", "Enter JobId(s), comma separated, to restore: "],
        ["1", /\$ $/],
        ["mark etc", /^4 files marked\.\n\$ $/],
        ["done", ASKED],
        ["yes", /^Job queued/],
        [`restore where=${seventh}`, menu],
        ["7", /^Automatically selected Client: t-fd\n[\s\S]*Enter full filename: $/],
        ["/data/plain", "Enter full filename: "],
        ["", ASKED],
        ["yes", /^Job queued/],
        [`restore where=${eleventh}`, menu],
        ["11", "Enter JobId(s), comma separated, to restore: "],
        ["1", /Enter directory name: $/],
        ["/etc/sub", "Enter directory name: "],
        ["", ASKED],
        ["yes", /^Job queued/],
        ["wait"],
      ]);
      assert.deepEqual(await scenario.names(third!), ["etc", "etc/conf", "etc/sub", "etc/sub/deep"]);
      assert.deepEqual(await scenario.names(seventh!), ["data", "data/plain"]);
      assert.deepEqual(await scenario.names(eleventh!), ["etc", "etc/sub", "etc/sub/deep"]);
    });
  });
}
