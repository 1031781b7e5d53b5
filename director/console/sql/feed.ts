/** Sends what a statement needs of configuration and catalogs to the process that carries it out. */
import { BackupError } from "../../../common/errors.js";
import { withCommas } from "../../../common/units.js";
import type { Entry__Output } from "../../../proto/generated/basalt/v1/Entry.js";
import type { EntryPage__Output } from "../../../proto/generated/basalt/v1/EntryPage.js";
import type { JobMediaPage__Output } from "../../../proto/generated/basalt/v1/JobMediaPage.js";
import type { ListEntriesRequest } from "../../../proto/generated/basalt/v1/ListEntriesRequest.js";
import {
  askAll,
  callStorage,
  catalogJobs,
  catalogPools,
  catalogVolumes,
  type StoredPool,
  shownNumber,
} from "../catalog.js";
import { poolRow, volumeRow } from "../commands/list-media.js";
import type { CommandContext } from "../context.js";
import { fromWire } from "../names.js";
import type { Cell, Row } from "../table.js";
import type { FileRow, Needs, SqlValue, ToSql } from "./protocol.js";
import { FED } from "./tables.js";

/** Files that one statement may read the records of. */
export const MAX_SQL_FILES = 20_000_000;
const JOBS_AT_ONCE = 1000;
const ROWS_AT_ONCE = 2000;

/** Resolves when the message was taken. */
export type Give = (message: ToSql) => Promise<void>;

/** @throws BackupError SQL_REFUSED for more files than a statement may read; what daemons answer */
export async function feed(context: CommandContext, needs: Needs, give: Give): Promise<void> {
  let asked: Promise<StoredPool[]> | undefined;
  const pools = (): Promise<StoredPool[]> => {
    asked ??= catalogPools(context);
    return asked;
  };
  for (const table of needs.tables) {
    if (table === "jobmedia") await feedJobMedia(context, give);
    else await feedTable(table, await rowsOf(context, table, pools), give);
  }
  if (needs.files.length + needs.baseFiles.length > 0) await feedFiles(context, needs, give);
}

async function feedTable(table: string, rows: readonly Row[], give: Give): Promise<void> {
  const columns = FED[table] ?? [];
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    const part = rows.slice(at, at + ROWS_AT_ONCE);
    await give({ kind: "rows", table, rows: part.map((row) => columns.map((column) => value(row[column]))) });
  }
}

function value(cell: Cell): SqlValue {
  if (cell === undefined) return 0;
  return typeof cell === "boolean" ? Number(cell) : cell;
}

async function rowsOf(
  context: CommandContext,
  table: string,
  poolsOf: () => Promise<StoredPool[]>,
): Promise<Row[]> {
  const { clients, fileSets, storages } = context.config;
  const numbered = <T>(items: Iterable<T>, row: (item: T, number: number) => Row): Row[] =>
    [...items].map((item, index) => row(item, index + 1));
  switch (table) {
    case "client":
      return numbered(clients.values(), (client, ClientId) => ({
        ...{ ClientId, Name: client.name, Uname: "", AutoPrune: client.autoPrune },
        ...{ FileRetention: client.fileRetentionSec, JobRetention: client.jobRetentionSec },
      }));
    case "fileset":
      return numbered(fileSets.values(), ({ name, digest }, FileSetId) => ({
        ...{ FileSetId, FileSet: name, MD5: digest, CreateTime: "" },
      }));
    case "storage":
      return numbered(storages.keys(), (Name, StorageId) => ({ StorageId, Name, AutoChanger: 0 }));
    case "device":
      return numbered(storages.values(), ({ device }, number) => ({
        ...{ DeviceId: number, Name: device, MediaTypeId: 1, StorageId: number },
      }));
    case "pool": {
      const pools = await poolsOf();
      return pools.map((pool) => poolRow(pool, pools));
    }
    case "media": {
      const pools = await poolsOf();
      return (await catalogVolumes(context, {})).map((volume) => {
        const row = volumeRow(context, volume, pools);
        const never = (text: Cell): Cell => (text === "" ? null : text);
        const { FirstWritten, LastWritten, LabelDate } = row;
        return {
          ...row,
          ...{
            FirstWritten: never(FirstWritten),
            LastWritten: never(LastWritten),
            LabelDate: never(LabelDate),
          },
        };
      });
    }
    default:
      throw new BackupError("REQUEST_INVALID", `no table ${table}`);
  }
}

async function feedJobMedia(context: CommandContext, give: Give): Promise<void> {
  await askAll(context, async (caller, storage) => {
    const pages = caller.stream<JobMediaPage__Output>(
      "Storaged",
      "ListJobMedia",
      {},
      { signal: context.signal },
    );
    for await (const { extents } of pages) {
      const rows = extents.map(({ jobId, mediaId, firstOffset, endOffset, files }) => ({
        ...{ jobId, mediaId: shownNumber(context, storage, mediaId) },
        ...{ firstOffset: Number(firstOffset), endOffset: Number(endOffset), files: Number(files) },
      }));
      await give({ kind: "extents", rows });
    }
    return [];
  });
}

async function feedFiles(context: CommandContext, needs: Needs, give: Give): Promise<void> {
  const wanted = { files: new Set(needs.files), baseFiles: new Set(needs.baseFiles) };
  const jobs = [];
  const ids = [...new Set([...needs.files, ...needs.baseFiles])];
  for (let at = 0; at < ids.length; at += JOBS_AT_ONCE)
    jobs.push(...(await catalogJobs(context, { jobIds: ids.slice(at, at + JOBS_AT_ONCE) })));
  const listed = jobs.filter(({ status }) => status === "T" || status === "W");
  const files = listed.reduce((sum, job) => {
    const base = wanted.baseFiles.has(job.jobId) ? Number(job.baseFiles) : 0;
    return sum + (wanted.files.has(job.jobId) ? Number(job.rows) : 0) + base;
  }, 0);
  if (files > MAX_SQL_FILES) {
    const text = `this reads the file lists of ${withCommas(listed.length)} jobs with ${withCommas(files)} files, more than ${withCommas(MAX_SQL_FILES)}: name the jobs, as in File.JobId=${ids[0]}`;
    throw new BackupError("SQL_REFUSED", text);
  }
  for (const job of listed) {
    const { jobId } = job;
    const caller = await callStorage(context, job.storage);
    const list = (request: ListEntriesRequest) =>
      caller.stream<EntryPage__Output>(
        ...(["Storaged", "ListEntries"] as const),
        ...([{ jobIds: [jobId], numbered: true, ...request }, { signal: context.signal }] as const),
      );
    if (wanted.files.has(jobId))
      await send(list({ ownRows: true, withDeleted: true }), (rows) => give({ kind: "files", rows }));
    if (wanted.baseFiles.has(jobId))
      await send(list({ baseOnly: true }), (rows) => give({ kind: "baseFiles", jobId, rows }));
  }
}

async function send(
  pages: AsyncIterable<EntryPage__Output>,
  give: (rows: FileRow[]) => Promise<void>,
): Promise<void> {
  let rows: FileRow[] = [];
  for await (const page of pages) {
    for (const entry of page.entries) if (entry.row > 0) rows.push(fileRow(entry));
    if (rows.length < ROWS_AT_ONCE) continue;
    await give(rows);
    rows = [];
  }
  if (rows.length > 0) await give(rows);
}

function fileRow(entry: Entry__Output): FileRow {
  const { jobId, row, turn, type, mode, uid, gid } = entry;
  return {
    ...{ jobId, row, turn, path: fromWire(entry.path), type, mode, uid, gid },
    ...{ size: Number(entry.size), mtimeSec: Number(entry.mtimeSec) },
    content: entry.content.length > 0 ? entry.content : undefined,
  };
}
