import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf } from "../../common/errors.js";
import { Disk } from "../faults/disk.js";
import { NearDaemon } from "../faults/near-daemon.js";
import { at, differences, ModelTree, type Snapshot } from "../faults/tree.js";
import { Reporter } from "../session/reporter.js";
import { JobDeleter } from "./delete.js";
import { rebaseAway } from "./rebase.js";

/** A daemon, its trees at each job, and the operations under test. */
class Stage {
  readonly trees = new Map<number, Snapshot>();
  readonly deleter: JobDeleter;
  #jobId = 0;

  constructor(readonly daemon: NearDaemon) {
    const { catalog, desk, log } = daemon;
    this.deleter = new JobDeleter({ catalog, desk, log });
  }

  async run(tree: ModelTree, level: string, jobName = "vm", base: string[] = []): Promise<number> {
    const jobId = ++this.#jobId;
    const { result, refusal } = await this.daemon.backup(tree, { jobId, level, jobName, base });
    assert.equal(result.ok, true, `${result.reason} ${refusal}`);
    this.trees.set(jobId, tree.snapshot());
    return jobId;
  }

  async locals(jobIds: readonly number[]): Promise<number[]> {
    const jobs = await this.daemon.goodJobs();
    return jobIds.map((jobId) => jobs.find((job) => job.jobId === jobId)!.id);
  }

  async rebase(jobIds: readonly number[]): Promise<number[]> {
    const { catalog, desk } = this.daemon;
    const reporter = new Reporter(async () => undefined);
    const options = { catalog, desk, storage: "sd", reporter, signal: new AbortController().signal };
    return rebaseAway(options, await this.locals(jobIds));
  }

  async delete(jobIds: readonly number[]): Promise<void> {
    await this.deleter.delete(await this.locals(jobIds));
    for (const jobId of jobIds) this.trees.delete(jobId);
  }

  async check(): Promise<void> {
    const kept = (await this.daemon.goodJobs()).map(({ jobId }) => jobId);
    assert.deepEqual(kept, [...this.trees.keys()]);
    for (const [jobId, tree] of this.trees) {
      assert.deepEqual(differences(tree, await this.daemon.restore(jobId)), [], `JobId ${jobId}`);
    }
  }
}

async function staged(work: (stage: Stage) => Promise<void>): Promise<void> {
  const disk = new Disk();
  const daemon = await NearDaemon.start(disk);
  try {
    await work(new Stage(daemon));
  } finally {
    await daemon.stop();
    disk.remove();
  }
}

function referenceTree(): ModelTree {
  const tree = new ModelTree();
  for (const name of ["bin/a", "bin/b", "etc/passwd", "etc/d/x", "lib/so"])
    tree.file(at(name), `reference ${name}`);
  return tree;
}

test("a Base that a Full needs is not deleted; after a rebase it is, and the Full restores equal", () =>
  staged(async (stage) => {
    const base = await stage.run(referenceTree(), "Base", "ref");
    const tree = referenceTree()
      .file(at("etc/own"), "own")
      .remove(at("bin/b"))
      .file(at("etc/d"), "no directory now");
    const full = await stage.run(tree, "Full", "vm", ["ref"]);
    const next = await stage.run(tree.file(at("etc/more"), "more").directory(at("etc/d")), "Incremental");
    await assert.rejects(stage.delete([base]), (error: Error) => {
      assert.equal(codeOf(error), "JOBS_NEEDED");
      assert.match(error.message, new RegExp(`JobId ${base} is needed by JobId ${full} `));
      return true;
    });
    await stage.check();
    assert.deepEqual(await stage.rebase([base]), [full]);
    await stage.check();
    await stage.delete([base]);
    await stage.check();
    // The Full is folded into the Incremental, which becomes one.
    assert.deepEqual(await stage.rebase([full]), [next]);
    await stage.delete([full]);
    await stage.check();
    const [left] = await stage.daemon.goodJobs();
    assert.deepEqual([left!.level, left!.chain, left!.bases], ["Full", [], []]);
    await stage.run(tree.file(at("etc/last"), "last"), "Incremental");
    await stage.check();
  }));

test("a whole chain goes at once; its volume is kept for what others use on it, then purged", () =>
  staged(async (stage) => {
    const { catalog } = stage.daemon;
    const first = await stage.run(referenceTree(), "Full", "one");
    const second = await stage.run(referenceTree().file(at("own"), "own"), "Full", "two");
    const third = await stage.run(referenceTree(), "Incremental", "one");
    await stage.delete([first, third]);
    await stage.check();
    const [volume] = await catalog.reader.listVolumes("", "");
    await catalog.writer.setVolumeStatus(volume!.id, "Used");
    assert.deepEqual(await stage.deleter.purgeUnneeded(), []);
    assert.deepEqual((await catalog.writer.needOf(volume!.id)).jobIds, [second]);
    await stage.delete([second]);
    const [after] = await catalog.reader.listVolumes("", "");
    assert.equal(after!.status, "Purged");
    for (const table of ["job", "frame", "chunk", "content", "list_block", "job_need", "job_record"]) {
      assert.equal(stage.daemon.db.prepare(`SELECT count(*) FROM ${table}`).pluck().get(), 0, table);
    }
  }));

test("random chains: whatever goes, what stays restores equal", () =>
  staged(async (stage) => {
    let state = 42;
    const roll = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const names = ["a", "a/b", "a/c", "a-b", "a/b/d", "e", "e/f"];
    const edit = (tree: ModelTree): ModelTree => {
      for (let i = roll(4); i >= 0; i--) {
        const key = at(names[roll(names.length)]!);
        const kind = roll(9);
        if (kind < 3) tree.remove(key);
        else if (kind < 5) tree.directory(key);
        else tree.file(key, `content ${roll(6)}`);
      }
      return tree;
    };
    const trees = [referenceTree(), new ModelTree(), new ModelTree()];
    const levels = ["Full", "Incremental", "Incremental", "Incremental", "Differential"];
    for (let round = 0; round < 40; round++) {
      const machine = roll(3);
      const tree = edit(trees[machine]!);
      if (machine === 0) await stage.run(tree, "Base", "ref");
      else await stage.run(tree, levels[roll(levels.length)]!, `vm${machine}`, roll(2) === 0 ? ["ref"] : []);
      if (round % 4 !== 3) continue;
      const going = [...stage.trees.keys()].filter(() => roll(4) === 0);
      await stage.rebase(going);
      await stage.check();
      await stage.delete(going);
      await stage.check();
    }
  }));
