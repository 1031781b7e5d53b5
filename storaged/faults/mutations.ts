/**
 * Proof that the tests of this directory see what they are for: single syncs and checks of the product, each to be
 * taken out in a copy of the tree (mutate.ts), and a test that must fail then. docs/testing.md has the results.
 */

export interface Mutation {
  name: string;
  /** Source file. */
  file: string;
  /** Text that is there exactly once, and what stands in its place. */
  from: string;
  to: string;
  /** Test file and pattern of test names. */
  test: string;
  pattern: string;
}

const BACKUPS = "storaged/faults/backups.test.js";
const RETENTION = "storaged/faults/retention.test.js";
const VOLUMES = "storaged/faults/volumes.test.js";
const VACUUM = "storaged/retention/vacuum.test.js";
const HISTORIES = "storaged/histories/histories.test.js";

const WRITER = "storaged/volume/writer.ts";

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "volumes are not synced before a commit",
    file: WRITER,
    from: "      const end = this.#end;\n      try {\n        await this.#file.sync();",
    to: "      const end = this.#end;\n      try {",
    ...{ test: BACKUPS, pattern: "an Incremental" },
  },
  {
    name: "a new label is not synced",
    file: WRITER,
    from: "      await file.sync();\n      await store.syncDirectory(dirname(path));\n    } catch (error) {\n      // The first",
    to: "      await store.syncDirectory(dirname(path));\n    } catch (error) {\n      // The first",
    ...{ test: BACKUPS, pattern: "label" },
  },
  {
    name: "the name of a new volume is not synced",
    file: WRITER,
    from: "      await store.syncDirectory(dirname(path));\n    } catch (error) {\n      // The first",
    to: "    } catch (error) {\n      // The first",
    ...{ test: BACKUPS, pattern: "a first Full" },
  },
  {
    name: "a recycled volume's label is not synced",
    file: WRITER,
    from: "      await file.sync();\n      // The name may be that of",
    to: "      // The name may be that of",
    ...{ test: VOLUMES, pattern: "recycled" },
  },
  {
    name: "commits of the catalog are not durable",
    file: "storaged/catalog/schema.ts",
    from: 'db.pragma("synchronous = FULL");',
    to: 'db.pragma("synchronous = NORMAL");',
    ...{ test: BACKUPS, pattern: "an Incremental" },
  },
  {
    name: "frames are not compared with their digests",
    file: "storaged/volume/frame-check.ts",
    from: '  if (!digest.equals(entry.digest)) throw new GarbledInput("content does not have its digest");\n',
    to: "",
    ...{ test: BACKUPS, pattern: "sends other bytes" },
  },
  {
    name: "a start does not cut volumes back",
    file: "storaged/session/volume-files.ts",
    from: "      await (await VolumeWriter.open(store, path, needed)).close();",
    to: "",
    ...{ test: BACKUPS, pattern: "an aborted job" },
  },
  {
    name: "a delete record is not synced",
    file: "storaged/retention/change-records.ts",
    from: "    const end = await writer.sync();\n    synced();",
    to: "    const end = writer.bytes;\n    synced();",
    ...{ test: RETENTION, pattern: "deleting" },
  },
  {
    name: "a delete record is not written",
    file: "storaged/retention/change-records.ts",
    from: "    await writer.appendRecord(RecordKind.catalog, record);\n    const end",
    to: "    const end",
    ...{ test: RETENTION, pattern: "deleting" },
  },
  {
    name: "the catalog does not keep delete records from being cut off",
    file: "storaged/retention/change-records.ts",
    from: "    await catalog.writer.recordEnd(volume.id, end);\n",
    to: "",
    ...{ test: RETENTION, pattern: "deleting" },
  },
  {
    name: "a vacuum leaves end records that are out of date as they are",
    file: "storaged/retention/vacuum-volume.ts",
    from: "    await this.#retire(jobs);\n",
    to: "",
    ...{ test: VACUUM, pattern: "does not come back" },
  },
  {
    name: "the catalog is not told that an end record may be on a volume",
    file: "storaged/session/backup-closing.ts",
    from: "  await catalog.writer.ending(job.id, volumes.current!.record.id);\n",
    to: "",
    ...{ test: BACKUPS, pattern: "waits for its commit" },
  },
  {
    name: "a rewritten list is not synced before it counts",
    file: "storaged/retention/rebase.ts",
    from: "    const progress = await volumes.sync();\n",
    to: "    const progress = volumes.extents.map((at) => ({ volume: at.volume, bytes: at.endOffset, frames: 0, writtenMs: 1 }));\n",
    ...{ test: RETENTION, pattern: "a rebase" },
  },
  {
    name: "a relabelled volume's name is not synced",
    file: "storaged/session/volume-files.ts",
    from: "    await store.rename(from, to);\n    await store.syncDirectory(dirname(to));",
    to: "    await store.rename(from, to);",
    ...{ test: VOLUMES, pattern: "relabel" },
  },
  {
    name: "content of running jobs is called known",
    file: "storaged/catalog/writer-context.ts",
    from: "    return !this.hidden.has(job) && (!context.clientOnly",
    to: "    return (!context.clientOnly",
    ...{ test: BACKUPS, pattern: "another one has sent" },
  },
  {
    name: "a volume may be purged though kept jobs need it",
    file: "storaged/catalog/writer-purge.ts",
    from: "      if (running || neededBy.length > 0) return { purged: false, neededBy, running };\n",
    to: "",
    ...{ test: HISTORIES, pattern: "histories" },
  },
  {
    name: "a vacuum does not sync what it moved",
    file: "storaged/retention/vacuum-target.ts",
    from: "    await open.writer.sync();\n    const batch = this.#batch;",
    to: "    const batch = this.#batch;",
    ...{ test: RETENTION, pattern: "a vacuum" },
  },
];
