import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { flip } from "../faults/repair-scenarios.js";
import { at, ModelTree, noise } from "../faults/tree.js";
import { history, referenceTree, Stage, scannedEqual } from "./copy-testing.js";

describe("VirtualFull", () => {
  let stage: Stage;
  before(async () => {
    stage = await new Stage().open();
  });
  after(() => stage.close());

  test("is a Full on the same Bases without content of its own; the next Incremental builds on it", async () => {
    const { base, full, first, second, tree } = await history(stage);
    const { jobId, result } = await stage.virtualFull();
    assert.equal(result.ok, true, result.reason ?? "");
    const job = await stage.job(jobId);
    assert.deepEqual([job.level, job.chain, job.bases, job.hasState], ["VirtualFull", [], [base], true]);
    assert.equal(job.startMs, (await stage.job(second)).startMs);
    const chunks = "SELECT count(*) FROM chunk WHERE job = ?";
    assert.equal(stage.daemon.db.prepare(chunks).pluck().get(job.id), 0);
    assert.deepEqual(job.volumes, ["Copy-0001"]);
    assert.deepEqual(job.needs, ["Vol-0001"]);
    stage.trees.set(jobId, stage.trees.get(second)!);
    await stage.isTree(jobId);
    const next = await stage.backup(tree.file(at("later"), "later").remove(at("bin/a")), "Incremental");
    assert.deepEqual((await stage.job(next)).chain, [jobId]);
    for (const id of [base, full, first, second, next]) await stage.isTree(id);
    // The old chain may go, the Base may not.
    const locals = await Promise.all([full, first, second].map(async (id) => (await stage.job(id)).id));
    await stage.daemon.deleter.delete(locals);
    await stage.isTree(next);
    await scannedEqual(stage);
  });

  test("named runs must make a state together", async () => {
    const newest = (await stage.daemon.goodJobs()).at(-1)!.jobId;
    await assert.rejects(stage.virtualFull([newest]), /builds on JobId \d+, which is not among/);
    await assert.rejects(stage.virtualFull([999]), /JobId 999 is not a finished backup/);
  });
});

describe("Copy within a storage", () => {
  let stage: Stage;
  before(async () => {
    stage = await new Stage().open();
  });
  after(() => stage.close());

  test("copies lie over copies, stand back, and take over when their originals go", async () => {
    const jobs = await history(stage);
    const copies: number[] = [];
    for (const id of [jobs.base, jobs.full, jobs.first, jobs.second]) {
      const { jobId, result } = await stage.copy(id);
      assert.equal(result.ok, true, result.reason ?? "");
      copies.push(jobId);
    }
    const [base, full, first, second] = await Promise.all(copies.map((id) => stage.job(id)));
    assert.deepEqual([base!.level, base!.type, base!.needs], ["Base", "C", ["Copy-0001"]]);
    assert.deepEqual([full!.bases, full!.chain, full!.needs], [[base!.jobId], [], ["Copy-0001"]]);
    assert.deepEqual([first!.level, first!.chain], ["Incremental", [full!.jobId]]);
    assert.deepEqual([second!.chain, second!.bases], [[full!.jobId, first!.jobId], [base!.jobId]]);
    assert.equal(full!.startMs, (await stage.job(jobs.full)).startMs);
    // Small: only what differs from what they lie over.
    assert.equal(first!.rows, (await stage.job(jobs.first)).rows);
    for (const id of copies) await stage.isTree(id);

    const next = await stage.backup(jobs.tree.file(at("next"), "next"), "Incremental");
    assert.deepEqual((await stage.job(next)).chain, [jobs.full, jobs.first, jobs.second]);
    const originals = [jobs.base, jobs.full, jobs.first, jobs.second, next];
    const locals = await Promise.all(originals.map(async (id) => (await stage.job(id)).id));
    await stage.daemon.catalog.writer.setVolumeStatus(1, "Used");
    const { purgedVolumes } = await stage.daemon.deleter.delete(locals);
    assert.deepEqual(purgedVolumes, ["Vol-0001"]);
    for (const id of copies) {
      assert.equal((await stage.job(id)).type, "B");
      await stage.isTree(id);
    }
    const after = await stage.backup(jobs.tree.file(at("after"), "after"), "Incremental");
    assert.deepEqual((await stage.job(after)).chain, [full!.jobId, first!.jobId, second!.jobId]);
    await stage.isTree(after);
  });

  test("a copy whose parents were not copied stands alone, also without deduplication", async () => {
    const tree = referenceTree().file(at("x"), "x").link(at("y"), at("x"));
    await stage.backup(tree, "Full", "other");
    const second = await stage.backup(tree.file(at("z"), "z"), "Incremental", "other");
    const { jobId, result } = await stage.copy(second, { pool: "Plain" });
    assert.equal(result.ok, true, result.reason ?? "");
    const job = await stage.job(jobId);
    assert.deepEqual(
      [job.level, job.chain, job.selfContained, job.needs],
      ["Full", [], true, ["Plain-0001"]],
    );
    await stage.isTree(jobId);
  });
});

describe("Migrate within a storage", () => {
  test("dependants lie over the new job, the original is gone, the next Incremental works", async () => {
    const stage = await new Stage().open();
    const { base, full, first, second, tree } = await history(stage);
    const moved: number[] = [];
    for (const id of [base, full, second]) {
      const { jobId, result } = await stage.copy(id, { migrate: true });
      assert.equal(result.ok, true, result.reason ?? "");
      moved.push(jobId);
    }
    const [newBase, newFull, newSecond] = await Promise.all(moved.map((id) => stage.job(id)));
    assert.deepEqual([newFull!.type, newFull!.bases], ["B", [newBase!.jobId]]);
    assert.deepEqual(newSecond!.chain, [newFull!.jobId, first]);
    assert.equal(newSecond!.hasState, true);
    const ids = (await stage.daemon.goodJobs()).map(({ jobId }) => jobId).sort();
    assert.deepEqual(ids, [first, ...moved].sort());
    const next = await stage.backup(tree.file(at("next"), "next").remove(at("lib")), "Incremental");
    assert.deepEqual((await stage.job(next)).chain, [newFull!.jobId, first, newSecond!.jobId]);
    for (const id of [first, next, ...moved]) await stage.isTree(id);
    await scannedEqual(stage);
    await stage.close();
  });
});

describe("Copy to another storage", () => {
  test("everything restores from the other one alone", async () => {
    const here = await new Stage().open();
    const there = await new Stage().open(100);
    const jobs = await history(here);
    const copies: number[] = [];
    for (const id of [jobs.base, jobs.full, jobs.first, jobs.second]) {
      const { jobId, result } = await there.copy(id, { from: here });
      assert.equal(result.ok, true, result.reason ?? "");
      copies.push(jobId);
    }
    await here.close();
    const last = await there.job(copies[3]!);
    assert.deepEqual(last.chain, copies.slice(1, 3));
    for (const id of copies) await there.isTree(id);
    await there.close();
  });

  test("a job whose content is damaged is not copied; the file is named", async () => {
    const here = await new Stage().open();
    const there = await new Stage().open(100);
    const full = await here.backup(referenceTree(), "Full");
    const { db } = here.daemon;
    db.prepare("UPDATE frame SET offset = offset + 1").run();
    const { jobId, result } = await there.copy(full, { from: here });
    assert.equal(result.ok, false);
    const told = result.reason ?? "";
    assert.match(
      told,
      /content of \S*bin\/a and \d+ more files of JobId 1 on Volume "Vol-0001" cannot be read/,
    );
    assert.equal(await there.job(jobId), undefined);
    await here.close();
    await there.close();
  });
});

describe("damaged content", () => {
  /** A Full with one small file, whose content is damaged then, and what to do about it. */
  async function damaged(t: TestContext) {
    const stage = await new Stage().open();
    t.after(() => stage.close());
    const tree = new ModelTree().file(at("etc/a"), "a of this machine");
    const full = await stage.backup(tree, "Full");
    flip(stage, full);
    const advice =
      /; run "check volume=Vol-0001 repair" in the console, then a backup of a machine that still has the file, then/;
    return { stage, tree, full, advice };
  }

  test("fails a copy and a migration with what helps, and that does help", async (t) => {
    const { stage, tree, full, advice } = await damaged(t);
    for (const migrate of [false, true]) {
      const { result } = await stage.copy(full, { migrate });
      assert.match(
        result.reason ?? "",
        /content of \S*etc\/a of JobId 1 on Volume "Vol-0001" cannot be read/,
      );
      assert.match(result.reason ?? "", advice);
    }
    await stage.daemon.operations.check(true);
    await stage.backup(tree, "Incremental");
    const { jobId, result } = await stage.copy(full, { migrate: true });
    assert.equal(result.ok, true, result.reason ?? "");
    await stage.isTree(jobId);
  });

  test("fails a VirtualFull with what helps, and that does help", async (t) => {
    const { stage, tree, advice } = await damaged(t);
    await stage.daemon.operations.check(true);
    const { result } = await stage.virtualFull();
    assert.match(result.reason ?? "", /content of \S*etc\/a \(JobId 1\) on Volume "Vol-0001" is damaged/);
    assert.match(result.reason ?? "", advice);
    const next = await stage.backup(tree, "Incremental");
    const { jobId, result: again } = await stage.virtualFull();
    assert.equal(again.ok, true, again.reason ?? "");
    await stage.isTree(jobId, stage.trees.get(next)!);
  });

  test("in parts fails a VirtualFull as well", async (t) => {
    const { stage, tree } = await damaged(t);
    await stage.daemon.operations.check(true);
    const big = tree.file(at("big"), noise(7, 3_000_000)).remove(at("etc/a"));
    const full = await stage.backup(big, "Full");
    flip(stage, full);
    await stage.daemon.operations.check(true);
    const { result } = await stage.virtualFull();
    assert.match(
      result.reason ?? "",
      /content of \S*big \(JobId 2\) on Volume "Vol-0001" is damaged; run "check/,
    );
  });
});
