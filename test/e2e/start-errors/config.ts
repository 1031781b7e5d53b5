/** `-t`, and a reload that works or keeps the old configuration. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DAEMONS, type Daemon } from "../../helpers/installation.js";
import { endOf } from "../../helpers/program.js";
import { until } from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";

/** A file of conf.d, and what has to be said of its lines. */
const BROKEN = `Job:
  - Name: broken
    JobDefs: DefaultJob
    Shedule: WeeklyCycle
    Priority: soon
    FileSet: Ful Set
`;
const SAID: [line: number, words: RegExp][] = [
  [4, /Shedule.*did you mean "?Schedule/],
  [5, /Priority.*soon/],
  [6, /Ful Set.*Full Set/],
];

export function configTests(): void {
  describe("configuration files", () => {
    let scenario: Scenario;

    before(async () => {
      scenario = await Scenario.create("config");
    });
    after(() => scenario?.close());

    const file = (daemon: string): string => join(scenario.installation.dir, `${daemon}.yaml`);
    const check = (daemon: string) => endOf(scenario.basalt, [daemon, "-c", file(daemon), "-t"]);

    test("-t of the files that init made", async () => {
      for (const daemon of [...DAEMONS, "console"]) {
        const ended = await check(daemon);
        assert.deepEqual(ended, { status: 0, stdout: "", stderr: "" }, daemon);
      }
    });

    test("-t names every fault with its place and the nearest name", async () => {
      const broken = join(scenario.installation.dir, "conf.d", "broken.yaml");
      await writeFile(broken, BROKEN);
      const director = await check("director");
      await writeFile(broken, "");
      assert.equal(director.status, 2, director.stderr);
      for (const [line, words] of SAID) {
        const found = director.stderr.split("\n").find((text) => words.test(text)) ?? "";
        assert.match(found, new RegExp(`^${broken}:${line}:\\d+: `), director.stderr);
      }
      assert.equal(director.stderr.trimEnd().split("\n").length, 3, director.stderr);
    });

    test("-t of filed and storaged", async () => {
      const faults: [Daemon, (text: string) => string, RegExp[]][] = [
        [
          "filed",
          (text) =>
            text.replace(/Port: \d+/, "Port: 123456").replace("HookTimeout: 1 hour", "HookTimout: 1 hour"),
          [/:\d+:\d+: .*123456/, /:\d+:\d+: .*HookTimout.*HookTimeout/],
        ],
        [
          "storaged",
          (text) =>
            text
              .replace("LabelMedia: yes", "LabelMedia: perhaps")
              .replace("MediaType: File", "MediTyp: File"),
          [/:\d+:\d+: .*perhaps/, /:\d+:\d+: .*MediTyp.*MediaType/],
        ],
      ];
      for (const [daemon, change, said] of faults) {
        const before = await readFile(file(daemon), "utf8");
        await scenario.installation.editConfig(daemon, change);
        const ended = await check(daemon);
        const started = await endOf(scenario.basalt, [daemon, "-c", file(daemon)]);
        await writeFile(file(daemon), before);
        assert.equal(ended.status, 2, ended.stderr);
        for (const words of said) assert.match(ended.stderr, words);
        assert.equal(ended.stderr.trimEnd().split("\n").length, said.length, ended.stderr);
        assert.ok(ended.stderr.startsWith(`${file(daemon)}:`), ended.stderr);
        assert.deepEqual(started, ended, "a start says the same");
      }
    });

    test("a file that is not there or no YAML", async () => {
      const missing = await endOf(scenario.basalt, ["filed", "-c", scenario.path("none.yaml"), "-t"]);
      assert.equal(missing.status, 2, missing.stderr);
      assert.match(missing.stderr, /none\.yaml/);
      assert.equal(missing.stderr.trimEnd().split("\n").length, 1, missing.stderr);
      await writeFile(scenario.path("bad.yaml"), "FileDaemon:\n  Name: [x\n");
      const bad = await endOf(scenario.basalt, ["filed", "-c", scenario.path("bad.yaml"), "-t"]);
      assert.equal(bad.status, 2, bad.stderr);
      assert.match(bad.stderr, /bad\.yaml:\d+:\d+: /);
    });

    test("SIGHUP: a good file counts, a bad one does not and is told", async () => {
      const { installation } = scenario;
      await installation.startAll();
      const reloaded = async (daemon: Daemon, words: RegExp): Promise<void> => {
        const seen = installation.log(daemon).length;
        await installation.kill(daemon, "SIGHUP");
        await until(`${daemon} says ${words}`, () => words.test(installation.log(daemon).slice(seen)));
      };
      for (const daemon of DAEMONS) {
        const before = await readFile(file(daemon), "utf8");
        await writeFile(file(daemon), before.replace(/^( *)WorkingDirectory:/m, "$1WorkingDirectry:"));
        const place = new RegExp(
          `${daemon}\\.yaml:\\d+:\\d+: .*WorkingDirectry[\\s\\S]*old configuration stays`,
        );
        await reloaded(daemon, place);
        await writeFile(file(daemon), before);
        await reloaded(daemon, /configuration reloaded/);
      }
      await scenario.define([{ name: "later" }]);
      await reloaded("director", /configuration reloaded/);
      assert.match(await installation.console(["show job=later"]), /[Jj]ob: name=later/);
      await installation.stop();
    });
  });
}
