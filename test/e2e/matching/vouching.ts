/** Which content is trusted unread, which is read, and what is written in either case. */
import assert from "node:assert/strict";
import { chmod, copyFile, mkdir, rename, stat, utimes } from "node:fs/promises";
import { describe, test } from "node:test";
import { type JobReport, reportNumber } from "../../helpers/job-report.js";
import { copyTree, type Machine, type Scenario, wrote } from "../../helpers/scenario.js";
import { aclValue, dirOp, fileOp, runTreeOps, type TreeOp } from "../../helpers/tree-ops.js";

const MIB = 1024 * 1024;
const WARNED = "Backup OK -- with warnings";

/** What all reference machines hold; `release` changes the content of one file. */
export function referenceTree(release = "one"): TreeOp[] {
  const mtimeNs = "1700000000123456789";
  const random = (path: string, size: number, seed = path): TreeOp =>
    fileOp(path, { kind: "random", size, seed }, { mtimeNs });
  return [
    dirOp("etc", { mtimeNs }),
    random("etc/conf", 4000),
    random("etc/release", 300, release),
    dirOp("bin", { mtimeNs }),
    { ...fileOp("bin/tool", { kind: "random", size: 90_000, seed: "tool" }), mode: 0o4755, mtimeNs },
    random("large", 3 * MIB),
    dirOp("pairs", { mtimeNs }),
    random("pairs/linked-1", 5000, "pair"),
    { op: "entry", type: "link", path: "pairs/linked-2", target: "pairs/linked-1" },
    random("pairs/separate-1", 6000, "separate"),
    random("pairs/separate-2", 6000, "separate"),
    random("pairs/trio-1", 7000, "trio"),
    { op: "entry", type: "link", path: "pairs/trio-2", target: "pairs/trio-1" },
    { op: "entry", type: "link", path: "trio-3", target: "pairs/trio-1" },
    { op: "entry", type: "symlink", path: "link", target: "etc/conf", mtimeNs },
  ];
}

const base = (name: string, ...others: string[]): Machine => ({
  name,
  base: [name, ...(others.length > 0 ? others : ["reference"])],
});

export const vouchingMachines: Machine[] = [
  base("unchanged"),
  base("quiet"),
  { ...base("sampled"), job: { SampleVerify: "100%" } },
  { ...base("digested"), options: { BaseJob: "pinsugm5" } },
  base("metadata"),
  base("own"),
  { name: "reference-b", level: "Base" },
  base("two-bases", "reference", "reference-b"),
];

/** Bytes that a job read from files. */
function read(report: JobReport): number {
  return reportNumber(report, "FD Bytes Read");
}

function wroteNothing(scenario: Scenario, report: JobReport): void {
  wrote(report, { files: 0, sent: 0 });
  assert.equal(scenario.rows(report.jobId), 0, report.report);
}

/** Changes the content of files but neither size nor mtime. */
function rewriteQuietly(root: string, ...paths: string[]): Promise<string[]> {
  return runTreeOps(
    root,
    paths.map((path) => ({ op: "rewrite", path, seed: "quietly" })),
  );
}

export function vouchingTests(get: () => Scenario): void {
  const newMachine = async (name: string): Promise<string> => {
    const root = get().path(name);
    await copyTree(get().path("reference"), root);
    return root;
  };

  describe("vouched for by a Base", () => {
    test("an unchanged machine: its Full and the first Incremental store nothing and read nothing", async () => {
      const root = await newMachine("unchanged");
      const full = await get().backup("unchanged", "Full");
      wroteNothing(get(), full);
      assert.equal(read(full), 0);
      assert.match(full.report, /Using BaseJobId\(s\): 1$/m);
      assert.ok(reportNumber(full, "Base bytes saved") > 3 * MIB, full.report);
      const incremental = await get().backup("unchanged", "Incremental");
      wroteNothing(get(), incremental);
      assert.equal(read(incremental), 0);
      await get().restoresAs("unchanged", root);
    });

    test("metadata of the machine's own comes back, content of the Base is not sent", async () => {
      const root = await newMachine("metadata");
      const acl = aclValue([
        [1, 6],
        [2, 4, 1234],
        [4, 4],
        [16, 4],
        [32, 0],
      ]);
      await runTreeOps(root, [
        { op: "change", path: "etc/conf", uid: 1001, gid: 1002, mode: 0o600 },
        { op: "change", path: "etc/release", mtimeNs: "1700000001000000001" },
        { op: "change", path: "large", xattrs: { "user.own": "6f776e" } },
        { op: "change", path: "bin/tool", xattrs: { "system.posix_acl_access": acl } },
        { op: "change", path: "pairs", mode: 0o2750 },
      ]);
      wrote(await get().backup("metadata", "Full"), { files: 5, sent: 0 });
      await get().restoresAs("metadata", root);
    });

    test("an unread match that is wrong is found by SampleVerify, stored, and warned of", async () => {
      const root = await newMachine("sampled");
      await rewriteQuietly(root, "etc/conf");
      const report = await get().backup("sampled", "Full", WARNED);
      assert.match(report.report, /etc\/conf/, report.report);
      wrote(report, { files: 1 });
      await get().restoresAs("sampled", root);
    });

    test("letters with a digest read everything", async () => {
      const root = await newMachine("digested");
      await rewriteQuietly(root, "etc/conf", "large");
      const report = await get().backup("digested", "Full");
      wrote(report, { files: 2 });
      assert.ok(read(report) > 3 * MIB, report.report);
      await get().restoresAs("digested", root);
    });

    test("two Bases: all are tried, the first one is the parent, another one's content is not read", async () => {
      await mkdir(get().path("reference-b"));
      await runTreeOps(get().path("reference-b"), [
        ...referenceTree("two"),
        fileOp("only-b", { kind: "random", size: 8000, seed: "only-b" }, { mtimeNs: "1700000000000000001" }),
        { op: "rewrite", path: "bin/tool", seed: "b" },
        { op: "change", path: "bin/tool", mtimeNs: "1700000000000000002" },
      ]);
      const second = await get().backup("reference-b", "Base");
      const root = get().path("two-bases");
      await copyTree(get().path("reference-b"), root);
      const report = await get().backup("two-bases", "Full");
      assert.match(report.report, new RegExp(`Using BaseJobId\\(s\\): 1,${second.jobId}$`, "m"));
      // Both Bases vouch for this one, but with different content: it is read to see whose it has.
      assert.equal(read(report), 300);
      wrote(report, { sent: 0 });
      await get().restoresAs("two-bases", root);
      wroteNothing(get(), await get().backup("two-bases", "Incremental"));
    });
  });

  describe("vouched for by the machine's own last run", () => {
    test("content changed with size and mtime kept: found by the Incremental, kept by every later Full", async () => {
      const root = await newMachine("quiet");
      await get().backup("quiet", "Full");
      await rewriteQuietly(root, "etc/conf", "large");
      wrote(await get().backup("quiet", "Incremental"), { files: 2 });
      await get().restoresAs("quiet", root);
      for (let round = 0; round < 2; round++) {
        const full = await get().backup("quiet", "Full");
        wrote(full, { files: 2, sent: 0 });
        assert.equal(read(full), 0);
        await get().restoresAs("quiet", root, { jobIds: [full.jobId] });
      }
      wroteNothing(get(), await get().backup("quiet", "Incremental"));
    });

    test("a changed ctime, inode or mtime makes it read; equal content is not sent again", async () => {
      const root = await newMachine("own");
      await get().backup("own", "Full");
      const { mode } = await stat(`${root}/etc/conf`);
      await chmod(`${root}/etc/conf`, 0o640);
      await chmod(`${root}/etc/conf`, mode & 0o7777);
      const original = await get().backup("own", "Incremental");
      wroteNothing(get(), original);
      assert.equal(read(original), 4000);

      await copyFile(`${root}/etc/release`, `${root}/new`);
      await utimes(`${root}/etc/release`, new Date(), new Date());
      await rename(`${root}/new`, `${root}/etc/release`);
      const replaced = await get().backup("own", "Incremental");
      assert.equal(read(replaced), 300);
      wrote(replaced, { sent: 0 });
      await get().restoresAs("own", root);
      wroteNothing(get(), await get().backup("own", "Incremental"));
    });

    test("a renamed file is read, and its content found in the pool", async () => {
      const root = get().path("own");
      await rename(`${root}/bin/tool`, `${root}/bin/renamed`);
      await rename(`${root}/large`, `${root}/etc/larger`);
      const report = await get().backup("own", "Incremental");
      wrote(report, { sent: 0 });
      assert.equal(read(report), 90_000 + 3 * MIB);
      await get().restoresAs("own", root);
    });
  });
}
