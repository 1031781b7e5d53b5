/** Advice on references and drift from them, on machines whose trees are counted here too. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type {
  Advice,
  AdvisedOption,
  Drift,
  DriftedMachine,
} from "../../../director/console/reference/types.js";
import { type Ended, endOf } from "../../helpers/program.js";
import { copyTree, Scenario } from "../../helpers/scenario.js";
import { SecondStorage } from "../../helpers/second-storage.js";
import { commonTo, contentsOf, costOver, readTree, type Tree } from "./count.js";
import { makeDatabase, makeDebian, makeOdd, makeOld, makeRpm } from "./trees.js";

const LIMIT_MS = 600_000;
/** In the order of their backups. */
const REFERENCES = ["debian", "database", "rpm-base"];
const MACHINES = ["equal", "odd", "old", "rpm-vm", "alone"];

describe("references compared", () => {
  let scenario: Scenario;
  let second: SecondStorage;
  const trees = new Map<string, Tree>();
  const treeOf = (name: string): Tree => trees.get(name)!;

  before(async () => {
    scenario = await Scenario.create("reference-compare", { keepConsole: true });
    const { installation } = scenario;
    second = await SecondStorage.create(installation);
    const at = (name: string): string => scenario.path(name);
    makeDebian(mkdirs(at("debian")));
    for (const name of ["database", "equal", "odd", "old"]) await copyTree(at("debian"), at(name));
    makeDatabase(at("database"));
    makeOdd(at("odd"));
    makeOld(at("old"));
    makeRpm(mkdirs(at("rpm-base")), 1);
    await copyTree(at("rpm-base"), at("rpm-vm"));
    makeRpm(at("rpm-vm"), 2);
    await scenario.define(
      [
        ...REFERENCES.map((name) => ({ name, level: "Base" as const })),
        ...["equal", "odd", "old"].map((name) => ({ name, base: [name, "debian"] })),
        { name: "rpm-vm", base: ["rpm-base"] },
        { name: "alone", root: at("equal") },
        { name: "far", root: at("equal"), base: ["debian"], pool: "Far", job: { Storage: "Second" } },
        { name: "never", root: at("equal"), base: ["debian"] },
      ],
      [{ name: "Far", Storage: "Second" }],
    );
    await second.start();
    await installation.startAll();
    for (const name of REFERENCES) await scenario.backup(name, "Base");
    for (const name of MACHINES) await scenario.backup(name, "Full");
    await installation.runJob("far", { level: "Full" });
    for (const name of [...REFERENCES, ...MACHINES])
      trees.set(name, readTree(at(name === "alone" ? "equal" : name)));
  });

  after(async () => {
    await second?.stop();
    await scenario?.close();
  });

  const basalt = (...words: string[]): Promise<Ended> =>
    endOf(
      scenario.basalt,
      ["reference", ...words, "-c", join(scenario.installation.dir, "console.yaml")],
      LIMIT_MS,
    );

  async function json<T>(status: number, ...words: string[]): Promise<T> {
    const ended = await basalt(...words, "--json");
    assert.equal(ended.status, status, ended.stderr + ended.stdout);
    return JSON.parse(ended.stdout) as T;
  }

  /** The figures of an option, and those that the trees have. */
  function checkOption(machine: string, option: AdvisedOption): void {
    const over = option.base.map(({ lists }) => commonTo(lists.map(({ name }) => treeOf(name))));
    const expected = costOver(treeOf(machine), over);
    const names = option.base.map(({ lists }) => lists.map(({ name }) => name).join("+")).join();
    assert.deepEqual(
      Object.fromEntries(Object.keys(expected).map((key) => [key, option[key as "rows"]])),
      expected,
      `${machine} over ${names}`,
    );
    for (const [i, part] of option.base.entries()) assert.equal(part.entries, over[i]!.size, names);
  }

  test("advise: every figure is that of the trees, and the best list comes first", async () => {
    const advice = await json<Advice>(3, "advise");
    const never = advice.skipped.filter(({ machine }) => machine === "never");
    assert.deepEqual(never, [{ machine: "never", reason: "no finished backup of it is in the catalog" }]);
    const machine = (name: string) => advice.machines.find((each) => each.machine === name)!;
    for (const name of MACHINES) {
      const { entries, now, options } = machine(name);
      assert.equal(entries, treeOf(name).size);
      for (const option of [now, ...options]) checkOption(name, option);
      for (const option of options) {
        assert.equal(option.savedRows, now.rows - option.rows);
        assert.equal(option.savedBytes, now.newBytes - option.newBytes);
      }
    }
    const baseOf = (option: AdvisedOption | undefined) =>
      option?.base.map(({ kind, lists }) => `${kind} ${lists.map(({ name }) => name).join("+")}`).join(", ");
    assert.deepEqual(baseOf(machine("equal").now), "base debian");
    assert.deepEqual([machine("equal").now.rows, machine("equal").options], [0, []]);
    // What is not deployed by a package is on both: a third reference would hold it.
    assert.match(baseOf(machine("old").options[0])!, /(machine odd|common old\+odd)/);
    const existing = machine("old").options.find(({ base }) => base.every(({ kind }) => kind === "base"));
    assert.match(baseOf(existing)!, /^base database/);
    assert.ok(existing!.savedBytes >= 1_380_000, String(existing!.savedBytes));
    assert.equal(baseOf(machine("alone").now), "");
    // It is the tree of `equal`, which is that of the reference.
    assert.match(baseOf(machine("alone").options[0])!, /^(base debian|machine equal|common alone\+equal)$/);
    assert.equal(machine("alone").options[0]!.rows, 0);
    const common = advice.newReferences.find(({ kind }) => kind === "common");
    assert.ok(common !== undefined && common.savedBytes > 1_000_000, JSON.stringify(advice.newReferences));
    assert.match(
      machine("far").notes[0]!,
      /^Base "debian" stands for no run on Storage "Second": its newest one, JobId 1, /,
    );
  });

  const kindOf = (drift: DriftedMachine, kind: string) => {
    const { named, entries, bytes: size } = drift.files.find((each) => each.kind === kind)!;
    return { entries, bytes: size, named };
  };
  const paths = (drift: DriftedMachine, kind: string): string[] =>
    kindOf(drift, kind).named.map(({ path }) => path);
  const packages = (drift: DriftedMachine, kind: string): string[] =>
    drift.packages
      .find((each) => each.kind === kind)!
      .named.map(({ name, version, baseVersion }) => `${name} ${version} ${baseVersion}`);

  test("drift: what somebody did to a machine, and nothing else", async () => {
    const { machines } = await json<Drift>(0, "drift", "--vm", "equal", "--vm", "odd");
    const [equal, odd] = machines as [DriftedMachine, DriftedMachine];
    assert.equal(equal.same.entries, treeOf("equal").size);
    for (const { entries, kind } of equal.files) assert.equal(entries, 0, kind);
    assert.deepEqual([equal.known.entries, equal.fresh.entries, equal.packageDatabase], [0, 0, "dpkg"]);

    const changed = kindOf(odd, "package").named.map(({ path, package: owner, what, size }) => [
      path,
      owner,
      what,
      size,
    ]);
    assert.deepEqual(changed, [
      ["/usr/bin/cat", "coreutils", ["mode"], 30_000],
      ["/usr/bin/ls", "coreutils", ["content"], 60_000],
    ]);
    const unmanaged = kindOf(odd, "unmanaged");
    assert.deepEqual(
      unmanaged.named.slice(0, 3).map(({ path, what }) => [path, what]),
      [
        ["/srv/run", ["set-id"]],
        ["/opt/app/bin/app", ["executable"]],
        ["/usr/local/bin/miner", ["executable"]],
      ],
    );
    // Those, a library, and what the application has below its `lib`.
    assert.equal(unmanaged.entries, 3 + 1 + 40);
    assert.equal(unmanaged.named.length, 10);
    assert.deepEqual(paths(odd, "missing-package"), ["/usr/bin/sort"]);
    assert.deepEqual(paths(odd, "missing"), ["/usr/lib/locale/locale-archive"]);
    assert.deepEqual(paths(odd, "configuration"), ["/etc/bash.bashrc"]);
    assert.deepEqual(paths(odd, "changed"), ["/var/log/dpkg.log"]);
    const extra = kindOf(odd, "extra").named;
    assert.deepEqual(
      extra.slice(0, 3).map(({ path, known }) => [path, known]),
      [
        ["/srv/copy-of-libc", true],
        ["/srv/data", false],
        ["/srv/data-again", false],
      ],
    );
    for (const kind of ["updates", "newer", "added", "removed"]) assert.deepEqual(packages(odd, kind), []);

    const cost = costOver(treeOf("odd"), [treeOf("debian")]);
    const held = contentsOf([treeOf("debian")]);
    const differs = [...treeOf("odd")].filter(([name, { all }]) => treeOf("debian").get(name)?.all !== all);
    const fresh = differs.filter(([, { content }]) => !held.has(content));
    const sum = (entries: typeof differs): number => entries.reduce((total, [, { size }]) => total + size, 0);
    assert.deepEqual(odd.same, { entries: cost.sameEntries, bytes: cost.sameBytes });
    assert.deepEqual(odd.fresh, { entries: fresh.length, bytes: sum(fresh) });
    assert.deepEqual(odd.known, { entries: differs.length - fresh.length, bytes: cost.knownBytes });
  });

  test("drift: versions behind and ahead of the Base explain what differs", async () => {
    const { machines } = await json<Drift>(0, "drift", "--vm", "old", "--top", "100");
    const old = machines[0]!;
    assert.deepEqual(packages(old, "updates"), ["openssl 3.0.9-1 3.0.14-1~deb12u2"]);
    assert.deepEqual(packages(old, "newer"), ["libc6 2.36-9+deb12u4 2.36-9"]);
    assert.deepEqual(packages(old, "added"), ["nginx 1.22.1-9 ", "postgresql-15 15.5-0+deb12u1 "]);
    assert.deepEqual(packages(old, "removed"), ["less  590-2"]);
    assert.deepEqual(paths(old, "version").sort(), ["/usr/bin/openssl", "/usr/share/doc/libc6/copyright"]);
    assert.deepEqual(paths(old, "package"), []);
    assert.deepEqual(paths(old, "missing"), ["/usr/bin/less"]);
    assert.deepEqual(
      paths(old, "added").filter((path) => !/postgresql(\/15(\/\w+)?)?$/.test(path)),
      ["/usr/lib/postgresql/15/bin/postgres", "/usr/lib/postgresql/15/lib/plpgsql.so", "/usr/sbin/nginx"],
    );
    assert.equal(kindOf(old, "unmanaged").entries, 41);
  });

  test("drift: an rpm database is told of, files at paths of the Base count as those of packages", async () => {
    const { machines } = await json<Drift>(0, "drift", "--vm", "rpm-vm");
    assert.equal(machines[0]!.packageDatabase, "rpm");
    assert.deepEqual(paths(machines[0]!, "package"), ["/usr/lib/sysimage/rpm/rpmdb.sqlite"]);
  });

  test("in the console: tables, and the words of whatever cannot be compared", async () => {
    const { installation } = scenario;
    const text = await installation.console([
      "reference drift job=odd job=old top=1",
      "reference advise job=old",
    ]);
    assert.match(text, /^odd \(JobId \d+\) over debian \(JobId 1\)$/m);
    assert.match(text, /^ {4}\/usr\/bin\/cat \(coreutils, mode, 30\.00 KB, content is in the Base\)$/m);
    assert.match(text, /^ {4}… and 1 more \(top=N names more\)$/m);
    assert.match(text, /^ {4}openssl \(amd64\) 3\.0\.9-1, in the Base 3\.0\.14-1~deb12u2$/m);
    assert.match(text, /^\| old +\| \d+ +\| debian \(JobId 1\) \| 0 +\| 41 +\| 1 /m);
    assert.match(text, /^\| now \| debian +\|/m);
    assert.match(text, /^References that do not exist yet/m);
    const all = await json<Drift>(3, "drift", "--all");
    assert.deepEqual(all.machines.map(({ machine }) => machine).sort(), ["equal", "odd", "old", "rpm-vm"]);
    assert.deepEqual(all.skipped.map(({ machine }) => machine).sort(), ["far", "never"]);

    const failed = async (expected: RegExp, ...words: string[]): Promise<void> => {
      const { status, stderr, stdout } = await basalt(...words);
      assert.equal(status, 1, stdout);
      assert.match(stderr, expected);
    };
    await failed(/^basalt: Job "nowhere" not found$/m, "drift", "--vm", "nowhere");
    await failed(/^basalt: Job "debian" makes a Base itself$/m, "drift", "--vm", "debian");
    await failed(/^basalt: alone: its Job names no Base$/m, "drift", "--vm", "alone");
    await failed(/never: no finished backup of it is in the catalog$/m, "advise", "--vm", "never");
    await failed(/far: Base "debian" stands for no run on Storage "Second"/, "drift", "--vm", "far");
    const usage = await basalt("drift");
    assert.equal(usage.status, 2);
    assert.match(usage.stderr, /--vm NAME, --client NAME, --jobid N or --all/);
  });

  test("an older run whose list File Retention has dropped: it is read from its volumes first", async () => {
    const before = await json<Drift>(0, "drift", "--vm", "odd");
    const { jobId } = before.machines[0]!;
    await scenario.backup("odd", "Full");
    await scenario.installation.console([`purge files jobid=${jobId}`]);
    assert.equal(scenario.listBlocks(jobId), 0);
    assert.deepEqual(await json<Drift>(0, "drift", "--jobid", String(jobId)), before);
    assert.ok(scenario.listBlocks(jobId) > 0);
    const other = await basalt("drift", "--jobid", "1");
    assert.match(other.stderr, /^basalt: JobId 1 is no finished backup of a Job that lies over Bases$/m);
  });
});

function mkdirs(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}
