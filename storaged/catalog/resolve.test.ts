import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { type FakeFiled, fileRow } from "../session/fake-filed.js";
import { TestStorage } from "../session/testing.js";

let storage: TestStorage;
before(async () => {
  storage = await new TestStorage().open();
});
after(() => storage.close());

const tree = (text: string) => (fake: FakeFiled) => fake.tree({ [`a-${text}`]: text });
const resolve = (level: string, more: object = {}) =>
  storage.catalog.reader.resolve({
    ...{
      jobName: "vm",
      client: "vm-fd",
      fileSet: "All",
      fileSetDigest: "d",
      base: [],
      ignoreFileSetChanges: false,
    },
    ...{ level, ...more },
  });

test("what each level builds on, from the first run to a new Full", async () => {
  const first = await resolve("Incremental", { base: ["vm", "ref"] });
  assert.equal(first.level, "Full");
  assert.equal(first.upgraded, "no-prior-full");
  assert.deepEqual(first.unresolvedBases, ["vm", "ref"]);
  assert.equal(first.ownNewest, 0);

  const ref = await storage.backup(tree("ref"), { level: "Base", jobName: "ref", client: "ref-fd" });
  const full = await storage.backup(tree("full"), { base: ["vm", "ref"] });
  assert.deepEqual(full.parents.bases, [ref.jobId]);
  assert.deepEqual(full.fake?.start.lists, [{ role: "base", jobId: ref.jobId }]);
  // The own Full is no layer of the next one; it vouches.
  const again = await resolve("Full", { base: ["vm", "ref"] });
  assert.deepEqual([again.bases, again.unresolvedBases, again.ownNewest], [[ref.jobId], [], full.jobId]);

  const inc1 = await storage.backup(tree("inc1"), { level: "Incremental" });
  assert.deepEqual([inc1.parents.chain, inc1.parents.bases], [[full.jobId], [ref.jobId]]);
  const diff = await storage.backup(tree("diff"), { level: "Differential" });
  assert.deepEqual(diff.parents.chain, [full.jobId]);
  assert.deepEqual(
    diff.fake?.start.lists.map(({ role, jobId }) => [role, jobId]),
    [
      ["own", inc1.jobId],
      ["parent", full.jobId],
    ],
  );
  const inc2 = await storage.backup(tree("inc2"), { level: "Incremental" });
  assert.deepEqual(inc2.parents.chain, [full.jobId, diff.jobId]);
  const failed = await storage.backup(
    async (fake) => {
      await fake.rows([fileRow("x", Buffer.from("nowhere"))]);
      await fake.end();
    },
    { level: "Incremental" },
  );
  assert.equal(failed.result.ok, false);
  const next = await resolve("Incremental");
  assert.deepEqual(next.chain, [full.jobId, diff.jobId, inc2.jobId]);
  assert.ok(next.sinceMs > 0);

  const changed = await resolve("Incremental", { fileSetDigest: "other" });
  assert.deepEqual([changed.level, changed.upgraded], ["Full", "fileset-changed"]);
  const ignored = await resolve("Incremental", { fileSetDigest: "other", ignoreFileSetChanges: true });
  assert.equal(ignored.upgraded, "");
});

test("the effective list of an Incremental lies over its chain and the Bases of its Full", async () => {
  const jobs = await storage.catalog.reader.listJobs({
    ...{ jobIds: [], client: "vm-fd", jobName: "vm", fileSet: "", beforeMs: 0, limit: 0 },
  });
  const newest = jobs.find(({ status }) => status === "T")!;
  const names = async (query: object) => {
    const handle = await storage.catalog.reader.openEntries({
      ...{ jobIds: [newest.jobId], ownRows: false, deleted: false, directory: "", children: true },
      ...{ after: undefined, limit: 0, rules: [], baseOnly: false, ...query },
    });
    const found: string[] = [];
    for await (const page of storage.catalog.pages(handle, storage.catalog.reader.nextEntries)) {
      found.push(...page.map(({ key }) => key));
    }
    return found;
  };
  assert.deepEqual(await names({}), ["a-diff", "a-full", "a-inc2", "a-ref"]);
  assert.deepEqual(await names({ baseOnly: true }), ["a-ref"]);
  assert.deepEqual(await names({ ownRows: true }), ["a-inc2"]);
  assert.deepEqual(await names({ after: "a-full", limit: 1 }), ["a-inc2"]);
});

test("a listing steps over subtrees and shows directories that are only implied", async () => {
  const run = await storage.backup(
    async (fake) => {
      const directories = ["home\0me", "home\0me\0b", "srv"].map((key) => emptyRow(key, EntryType.directory));
      const fifos = ["home\0me\0a", "home\0me\0b\0deep", "srv-x"].map((key) => emptyRow(key, EntryType.fifo));
      await fake.rows([...directories, ...fifos].sort((a, b) => (a.key < b.key ? -1 : 1)));
      await fake.end();
    },
    { jobName: "dirs" },
  );
  const list = async (directory: string) => {
    const handle = await storage.catalog.reader.openEntries({
      ...{ jobIds: [run.jobId], ownRows: false, deleted: false, directory, children: true, after: undefined },
      ...{ limit: 0, rules: [{ key: "home", include: true, recursive: true }], baseOnly: false },
    });
    const found: [string, boolean][] = [];
    for await (const page of storage.catalog.pages(handle, storage.catalog.reader.nextEntries)) {
      for (const { key, marked } of page) found.push([key, marked]);
    }
    return found;
  };
  assert.deepEqual(await list(""), [
    ["home", true],
    ["srv", false],
    ["srv-x", false],
  ]);
  assert.deepEqual(await list("home"), [["home\0me", true]]);
  assert.deepEqual(
    (await list("home\0me")).map(([key]) => key),
    ["home\0me\0a", "home\0me\0b"],
  );
});

test("finding names: by glob, by exact path, newest first", async () => {
  const find = async (pattern: string, exact: boolean) => {
    const query = { client: "vm-fd", pattern, exact, jobIds: [], limit: 0 };
    const handle = await storage.catalog.reader.openFind(query);
    const found: string[] = [];
    for await (const page of storage.catalog.pages(handle, storage.catalog.reader.nextFind)) {
      found.push(...page.map(({ key }) => key));
    }
    return found;
  };
  assert.deepEqual(await find("a-inc?", false), ["a-inc2", "a-inc1"]);
  assert.deepEqual(await find("/home/me/b/deep", true), ["home\0me\0b\0deep"]);
  assert.deepEqual(await find("*.no", false), []);
  assert.deepEqual(await find("[!b]-inc\\1", false), ["a-inc1"]);
  await storage.backup(async (fake) => {
    await fake.rows([emptyRow("", EntryType.directory), emptyRow("a".repeat(250), EntryType.fifo)]);
    await fake.end();
  });
  assert.deepEqual(await find(`${"*a".repeat(40)}*b`, false), []);
});

test("only the newest state stream is kept", async () => {
  const jobs = await storage.catalog.reader.listJobs({
    ...{ jobIds: [], client: "vm-fd", jobName: "vm", fileSet: "", beforeMs: 0, limit: 0 },
  });
  assert.equal(jobs.filter(({ hasState }) => hasState).length, 1);
});

test("rows are numbered in the list that they come from, and found by their number", async () => {
  const { reader } = storage.catalog;
  const full = await storage.backup(
    async (fake) => {
      await fake.rows(
        ["", "d", "d\0x", "d\0y", "e"].map((key) =>
          emptyRow(key, key.length < 2 && key !== "e" ? EntryType.directory : EntryType.fifo),
        ),
      );
      await fake.end();
    },
    { jobName: "numbers" },
  );
  const inc = await storage.backup(
    async (fake) => {
      await fake.rows([emptyRow("d\0x", EntryType.deleted), emptyRow("d\0y", EntryType.fifo)]);
      await fake.end();
    },
    { jobName: "numbers", level: "Incremental" },
  );
  const list = async (query: object) => {
    const handle = await reader.openEntries({
      ...{
        jobIds: [inc.jobId],
        ownRows: false,
        deleted: false,
        directory: "",
        children: false,
        after: undefined,
      },
      ...{ limit: 0, rules: [], baseOnly: false, numbered: true, ...query },
    });
    const found: unknown[] = [];
    for await (const page of storage.catalog.pages(handle, reader.nextEntries))
      found.push(...page.map(({ key, jobId, row, turn }) => [key, jobId, row, turn]));
    return found;
  };
  const own = { jobIds: [full.jobId], ownRows: true };
  assert.deepEqual(await list({ directory: "d" }), [
    ["d", full.jobId, 2, 0],
    ["d\0y", inc.jobId, 2, 0],
  ]);
  assert.deepEqual(await list({ ...own, fromRow: 4 }), [
    ["d\0y", full.jobId, 4, 0],
    ["e", full.jobId, 5, 0],
  ]);
  assert.deepEqual(await list({ ...own, fromRow: 6 }), []);
  assert.deepEqual(await list({ jobIds: [inc.jobId], ownRows: true, withDeleted: true }), [
    ["d\0x", inc.jobId, 1, 0],
    ["d\0y", inc.jobId, 2, 0],
  ]);
  assert.deepEqual(await list({ ...own, fromRow: 5, numbered: false }), [
    ["e", full.jobId, undefined, undefined],
  ]);
  const handle = await reader.openFind({
    ...{
      client: "vm-fd",
      pattern: "/d/y",
      exact: true,
      jobIds: [full.jobId, inc.jobId],
      limit: 0,
      numbered: true,
    },
  });
  const found: unknown[] = [];
  for await (const page of storage.catalog.pages(handle, reader.nextFind))
    found.push(...page.map(({ jobId, row }) => [jobId, row]));
  assert.deepEqual(found, [
    [inc.jobId, 2],
    [full.jobId, 4],
  ]);
});

test("where jobs lie: by job, a job's stretches together, and those of named jobs", async () => {
  const { reader } = storage.catalog;
  const all = await reader.extents(0, [], 1000);
  assert.ok(all.length > 4);
  assert.deepEqual(
    all,
    [...all].sort((a, b) => a.job - b.job || a.ord - b.ord),
  );
  for (const { firstOffset, endOffset, volume } of all) assert.ok(firstOffset < endOffset && volume !== "");
  const [first] = all;
  const pages = [];
  for (let after = 0; ; ) {
    const page = await reader.extents(after, [], 1);
    if (page.length === 0) break;
    after = page.at(-1)!.job;
    pages.push(...page);
  }
  assert.deepEqual(pages, all);
  assert.deepEqual(
    await reader.extents(0, [first!.jobId], 1000),
    all.filter(({ jobId }) => jobId === first!.jobId),
  );
});

test("a search that finds nothing ends with whoever asked for it", async () => {
  const gone = new AbortController();
  let steps = 0;
  const nothing = async () => {
    if (++steps === 3) gone.abort(new Error("hung up"));
    return steps < 100 ? [] : undefined;
  };
  await assert.rejects(storage.catalog.pages(0, nothing, gone.signal).next(), /hung up/);
  assert.equal(steps, 3);
});

test("a reference machine is compared with the Base in force, whoever was the client then", async () => {
  const wanted = { level: "Base", jobName: "machine", compared: true } as const;
  const first = await storage.backup(tree("m1"), { ...wanted, client: "old-fd" });
  assert.equal(first.parents.baseInForce, 0);
  assert.deepEqual(first.fake?.start.lists, []);
  const second = await storage.backup(tree("m2"), { ...wanted, client: "new-fd" });
  assert.equal(second.parents.baseInForce, first.jobId);
  assert.deepEqual(second.fake?.start.lists, [{ role: "compared", jobId: first.jobId }]);
  const third = await storage.backup(tree("m3"), { ...wanted, client: "new-fd" });
  assert.deepEqual(third.fake?.start.lists, [
    { role: "own", jobId: second.jobId },
    { role: "compared", jobId: second.jobId },
  ]);
  // One that fails leaves the one before in force.
  const failed = await storage.backup(async (fake) => fake.stream.destroy(), { ...wanted, client: "new-fd" });
  assert.equal(failed.result?.ok ?? false, false);
  assert.equal((await resolve("Base", { jobName: "machine" })).baseInForce, third.jobId);
  assert.equal((await resolve("Full", { jobName: "machine" })).baseInForce, 0);
});
