import assert from "node:assert/strict";
import { test } from "node:test";
import { openForReading } from "../catalog/schema.js";
import { ListWalk } from "../check/list-walk.js";
import { catalogFaults } from "../faults/consistency.js";
import { Disk } from "../faults/disk.js";
import { NearDaemon } from "../faults/near-daemon.js";
import { at, differences, ModelTree, type Snapshot } from "../faults/tree.js";
import { Reporter } from "../session/reporter.js";
import { rebaseAway } from "./rebase.js";

/** So many make a list of two blocks. */
const TWO_BLOCKS = 2100;

interface Chain {
  daemon: NearDaemon;
  /** Local numbers of the Full, the Differential and the Incremental, and the newest one's tree. */
  jobs: [full: number, second: number, newest: number];
  tree: Snapshot;
}

/** Three runs over each other; the catalog must be sound in the end. */
async function chained(
  work: (chain: Chain, restart: () => Promise<NearDaemon>) => Promise<void>,
  files = 20,
) {
  const disk = new Disk();
  let daemon = await NearDaemon.start(disk);
  const restart = async () => {
    await daemon.stop();
    daemon = await NearDaemon.start(disk);
    return daemon;
  };
  try {
    const tree = new ModelTree();
    for (let i = 0; i < files; i++) tree.file(at(`d/${i}`), `content ${i % 7}`);
    for (const [i, level] of ["Full", "Incremental", "Incremental"].entries()) {
      tree.remove(at(`d/${i}`)).file(at(`d/${i + 10}`), `changed ${i}`);
      const { result } = await daemon.backup(tree, { jobId: i + 1, level });
      assert.equal(result.ok, true, result.reason);
    }
    const jobs = (await daemon.goodJobs()).map(({ id }) => id) as Chain["jobs"];
    await work({ daemon, jobs, tree: tree.snapshot() }, restart);
    assert.deepEqual(catalogFaults(daemon.db), []);
  } finally {
    await daemon.stop();
    disk.remove();
  }
}

function rebase({ catalog, desk }: NearDaemon, going: number[]): Promise<number[]> {
  const reporter = new Reporter(async () => undefined);
  return rebaseAway({ catalog, desk, storage: "sd", reporter, signal: new AbortController().signal }, going);
}

/** From the named call on nothing is removed beside lists in force: the daemon ends there, for all that it knows. */
function endAfter(daemon: NearDaemon, last: string): void {
  let ended = false;
  daemon.beforeCall = async (method) => {
    if (ended && method === "clearOldList") throw new Error("the daemon has ended");
    ended ||= method === last;
  };
}

/** Turn, whether blocks may lie beside the list in force, and how many lie under each number. */
function stored({ db }: NearDaemon, job: number): [turn: number, old: number, own: number, other: number] {
  const facts = db
    .prepare<[number], [number, number]>("SELECT list_turn, list_old FROM job WHERE id = ?")
    .raw();
  const blocks = db.prepare<[number], number>("SELECT count(*) FROM list_block WHERE job = ?").pluck();
  return [...facts.get(job)!, blocks.get(job)!, blocks.get(-job)!];
}

test("an end between the new list and the removal of the old one is carried on with at the next start", () =>
  chained(async ({ daemon, jobs: [full, second, newest], tree }, restart) => {
    endAfter(daemon, "commitRewrite");
    assert.deepEqual(await rebase(daemon, [full, second]), [3]);
    assert.deepEqual(stored(daemon, newest), [1, 1, 1, 1]);
    assert.deepEqual(differences(tree, await daemon.restore(3)), []);
    const again = await restart();
    assert.deepEqual(stored(again, newest), [1, 0, 0, 1]);
    assert.deepEqual(differences(tree, await again.restore(3)), []);
  }));

test("an attempt that was given up leaves nothing to the next one, and lists change places again and again", () =>
  chained(async ({ daemon, jobs: [full, second, newest], tree }) => {
    // Given up with its list written, and not cleared.
    endAfter(daemon, "rewriteCounts");
    const hook = daemon.beforeCall;
    daemon.beforeCall = async (method) => {
      if (method === "commitRewrite") throw new Error("given up");
      await hook(method);
    };
    await assert.rejects(rebase(daemon, [full]), /given up/);
    assert.deepEqual(stored(daemon, second), [0, 1, 1, 1]);
    // A second attempt may not write beside that.
    const request = { job: second, parent: undefined, bases: [], folds: [full] };
    await assert.rejects(daemon.catalog.writer.beginRewrite(request), { code: "JOB_IN_USE" });
    daemon.beforeCall = () => undefined;
    assert.deepEqual(await rebase(daemon, [full]), [2]);
    assert.deepEqual(stored(daemon, second), [1, 0, 0, 1]);
    // The newest one lies over it still; it is rewritten twice.
    assert.deepEqual(await rebase(daemon, [second]), [3]);
    assert.deepEqual(stored(daemon, newest), [1, 0, 0, 1]);
    const alone = { job: newest, parent: undefined, bases: [], folds: [] };
    const { catalog } = daemon;
    const begun = await catalog.writer.beginRewrite(alone);
    for await (const block of catalog.difference(begun.wanted, begun.lower))
      await catalog.writer.addRows(begun.list, new Uint8Array(block));
    await catalog.writer.commitRewrite({ ...alone, extents: [], volumes: [] });
    while (!(await catalog.writer.clearOldList(newest)));
    assert.deepEqual(stored(daemon, newest), [2, 0, 1, 0]);
    assert.deepEqual(differences(tree, await daemon.restore(3)), []);
  }));

test("a job is deleted with both of its lists", () =>
  chained(async ({ daemon, jobs: [full, second, newest] }) => {
    endAfter(daemon, "commitRewrite");
    assert.deepEqual(await rebase(daemon, [full, second]), [3]);
    assert.deepEqual(stored(daemon, newest), [1, 1, 1, 1]);
    daemon.beforeCall = () => undefined;
    await daemon.deleter.delete([newest]);
    const left = daemon.db.prepare<[], number>("SELECT DISTINCT job FROM list_block ORDER BY job").pluck();
    assert.deepEqual(left.all(), [full, second]);
  }));

test("whoever reads a list while another one takes its place, or its job goes, is told so", () =>
  chained(async ({ daemon, jobs: [full, second, newest] }) => {
    const { reader } = daemon.catalog;
    const open = async (job: number) => {
      const handle = await reader.openBlocks([job]);
      assert.ok(await reader.nextBlock(handle));
      return handle;
    };
    const reads = async (handle: number) => {
      while ((await reader.nextBlock(handle)) !== undefined);
    };
    await rebase(daemon, [full, second]);
    const handle = await open(newest);
    const untouched = await open(full);
    // As a second rewrite would.
    daemon.db.prepare("UPDATE job SET list_turn = list_turn + 2 WHERE id = ?").run(newest);
    await assert.rejects(reads(handle), { code: "LIST_REWRITTEN", message: /JobId 3 was rewritten/ });
    await reads(untouched);
    const gone = await open(full);
    const found = await reader.openFind({ client: "", pattern: "d/*", limit: 0, jobIds: [1], exact: false });
    await daemon.deleter.delete([full, second]);
    await assert.rejects(reads(gone), { code: "NOT_FOUND" });
    // A search passes over what went meanwhile.
    assert.deepEqual(await reader.nextFind(found), undefined);
  }, TWO_BLOCKS));

test("layers that were looked up before a rewrite do not make a list with what came of it", () =>
  chained(async ({ daemon, jobs: [full, second, newest] }) => {
    const { catalog } = daemon;
    const { layers } = await catalog.reader.verified(3);
    assert.deepEqual(layers, [newest, second, full]);
    const read = async (ids: number[], effective: number[]) => {
      for await (const _ of catalog.blocks(ids, undefined, effective));
    };
    await read(layers, layers);
    // The list of the one in the middle becomes a whole one: what it lacks of the Full would come back.
    await rebase(daemon, [full]);
    await assert.rejects(read(layers, layers), {
      code: "LIST_REWRITTEN",
      message: /JobId 3.* was rewritten/,
    });
    await assert.rejects(read([newest], layers), { code: "LIST_REWRITTEN" });
    const now = (await catalog.reader.verified(3)).layers;
    assert.deepEqual(now, [newest, second]);
    await read(now, now);
  }));

test("a check that stood at the end of a list when it was rewritten looks at the new one", () =>
  chained(async ({ daemon, jobs: [full, second, newest] }) => {
    const db = openForReading(daemon.catalog.file);
    try {
      db.exec("CREATE TEMP TABLE bad(id INTEGER PRIMARY KEY)");
      const stepsOf = async (meanwhile: () => Promise<unknown>): Promise<number> => {
        const walk = new ListWalk(db, 0);
        while (walk.step().job?.id !== newest);
        await meanwhile();
        let steps = 1;
        while (walk.step().job !== undefined) steps++;
        return steps;
      };
      const before = await stepsOf(async () => undefined);
      const rewritten = await stepsOf(() => rebase(daemon, [full, second]));
      // The old list and the new one are a block each.
      assert.equal(rewritten, before + 1);
    } finally {
      db.close();
    }
  }));
