/** Files that come back under other names. */
import assert from "node:assert/strict";
import { mkdir, readFile, stat } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { findReport, type JobReport } from "../../helpers/job-report.js";
import { restoreTree } from "../../helpers/restore-tree.js";
import { Scenario, sameTrees } from "../../helpers/scenario.js";
import { runTreeOps } from "../../helpers/tree-ops.js";

const TREE = restoreTree();

/** Restore jobs whose directives say where files go. */
async function relocationJobs(scenario: Scenario): Promise<void> {
  const job = (Name: string, more: object) => ({
    Name,
    Type: "Restore",
    Client: "t-fd",
    Messages: "Standard",
    ...more,
  });
  await scenario.installation.writeResources("relocation", {
    Job: [
      job("ToRegex", { Where: "/nowhere", RegexWhere: `!^!${scenario.path("by-regex")}!` }),
      job("ToPrefix", {
        RegexWhere: "!a!b!",
        StripPrefix: "/etc",
        AddPrefix: scenario.path("by-prefix"),
        AddSuffix: ".old",
      }),
    ],
  });
}

describe("file relocation", () => {
  let scenario: Scenario;
  const get = (): Scenario => scenario;

  before(async () => {
    scenario = await Scenario.create("relocation", { keepConsole: true });
    await scenario.define([{ name: "machine" }]);
    await relocationJobs(scenario);
    await mkdir(scenario.path("machine"));
    await runTreeOps(scenario.path("machine"), TREE);
    await scenario.installation.startAll();
    await scenario.backup("machine", "Full");
  });

  after(() => scenario?.close());

  const restore = async (words: string, files = "all done select"): Promise<JobReport> => {
    const command = `restore client=t-fd fileset=machine restorejob=RestoreFiles ${words} ${files} yes`;
    const output = await get().installation.console([command, "wait", "messages"]);
    const report = findReport(output, Number(/^Job queued\. JobId=(\d+)/m.exec(output)?.[1]));
    assert.ok(report, output);
    return report;
  };
  const names = (path: string): Promise<string[]> => get().names(get().path(path));

  describe("names", () => {
    test("add_prefix: the whole tree, with links, pieces and metadata", async () => {
      const to = get().path("prefixed");
      const report = await restore(`where=/nowhere add_prefix=${to}`);
      assert.equal(report.termination, "Restore OK", report.report);
      assert.match(report.report, /Where: +!\^!\/.*prefixed!/);
      await sameTrees(get().path("machine"), to);
    });

    test("strip_prefix and add_suffix; directories keep their names", async () => {
      const to = get().path("stripped");
      await restore(`strip_prefix=/etc add_suffix=.old add_prefix=${to}`);
      const found = await names("stripped");
      assert.deepEqual(found, [
        ...["conf.old", "large.old", "links", "links/one.old", "links/two.old", "other.old", "plain.old"],
        ...["soft.old", "sub", "sub/deep.old", "three.old"],
      ]);
      const [one, two] = [await stat(`${to}/links/one.old`), await stat(`${to}/three.old`)];
      assert.equal(one.ino, two.ino);
      const same = await readFile(`${to}/large.old`);
      assert.deepEqual(same, await readFile(get().path("machine/large")));
    });

    test("regexwhere: several expressions, flags, groups, any separator", async () => {
      const to = get().path("regex");
      await mkdir(to);
      const expression = `|^/(ETC)/(.*)|/\\\\2-$1/|i,!^!${to}!,:conf:CONF:g`;
      const report = await restore(`regexwhere="${expression}"`, "file=/etc/conf file=/plain");
      assert.match(report.termination, /^Restore OK/, report.report);
      assert.deepEqual(await names("regex"), ["CONF-etc", "plain"]);
    });

    test("what two names become one of is one of them, whole", async () => {
      const to = get().path("collision");
      await restore(`regexwhere="!^/(large|links/one)$!${to}/same!"`, "file=/large file=/links/one");
      const bytes = await readFile(`${to}/same`);
      const either = [
        await readFile(get().path("machine/large")),
        await readFile(get().path("machine/links/one")),
      ];
      assert.ok(either.some((each) => each.equals(bytes)));
    });

    test("nothing leads outside: a relative name, `..` and RestoreRoots", async () => {
      const to = get().path("inside");
      const report = await restore(`regexwhere="!^/(.*)!${to}/../$1!"`, "file=/plain");
      assert.match(report.termination, /Restore OK -- warning file count mismatch/, report.report);
      assert.match(report.report, /RegexWhere makes no absolute path of it/);
      const relative = await restore("regexwhere=!^/!!", "file=/plain");
      assert.match(relative.report, /RegexWhere makes no absolute path of it/);
    });

    test("a bad expression and a relative Where end in Restore Error", async () => {
      for (const words of ["regexwhere=!(!b!", "regexwhere=abc", "where=relative/path"]) {
        const report = await restore(words);
        assert.equal(report.termination, "*** Restore Error ***", report.report);
      }
    });

    test("directives of the job; a Where that is asked for outranks them", async () => {
      const { installation } = get();
      const words = "restore client=t-fd fileset=machine file=/etc/conf";
      await installation.console([
        ...[`${words} restorejob=ToRegex yes`, "wait", `${words} restorejob=ToPrefix yes`, "wait"],
        ...[`${words} restorejob=ToRegex where=${get().path("by-where")} yes`, "wait"],
      ]);
      assert.deepEqual(await names("by-regex"), ["etc", "etc/conf"]);
      assert.deepEqual(await names("by-prefix"), ["conf.old"]);
      assert.deepEqual(await names("by-where"), ["etc", "etc/conf"]);
    });

    test("an expression that would take for ever does not", async () => {
      const to = get().path("patient");
      const report = await restore(`regexwhere="!^(/+([a-z]+)*)*\\$x!b!,!^!${to}!"`, "file=/etc/conf");
      assert.match(report.termination, /^Restore OK/, report.report);
      assert.deepEqual(await names("patient"), ["etc", "etc/conf"]);
    });
  });
});
