/** The director's questions about jobs, lists, pools and volumes, and the labelling of volumes. */

import { BackupError, codeOf, describeError } from "../common/errors.js";
import { bytesOfText } from "../common/format/path.js";
import { BLOCK_TARGET_ROWS } from "../common/format/row-block.js";
import type { FindRequest__Output } from "../proto/generated/basalt/v1/FindRequest.js";
import type { LabelRequest__Output } from "../proto/generated/basalt/v1/LabelRequest.js";
import type { ListEntriesRequest__Output } from "../proto/generated/basalt/v1/ListEntriesRequest.js";
import type { ListJobMediaRequest__Output } from "../proto/generated/basalt/v1/ListJobMediaRequest.js";
import type { ListJobsRequest__Output } from "../proto/generated/basalt/v1/ListJobsRequest.js";
import type { PoolList__Output } from "../proto/generated/basalt/v1/PoolList.js";
import type { ResolveRequest__Output } from "../proto/generated/basalt/v1/ResolveRequest.js";
import type { Selection__Output } from "../proto/generated/basalt/v1/Selection.js";
import type { Handlers } from "../proto/rpc.js";
import type { Catalog } from "./catalog/catalog.js";
import type { ListedEntry } from "./catalog/listing-types.js";
import {
  fromCounter,
  fromPool,
  keyOf,
  toEntry,
  toJob,
  toPool,
  toRules,
  toVolume,
} from "./service-convert.js";
import type { DialedClients } from "./session/dialed-clients.js";
import type { VolumeDesk } from "./session/volume-desk.js";
import { isVolumeName } from "./volume/label.js";

export interface CatalogServices {
  catalog: Catalog;
  desk: VolumeDesk;
  dialed?: DialedClients;
}

type Send = (message: object) => Promise<void>;

/** Jobs whose places are read in one step. */
const PAGE_EXTENTS = 1000;
/** Levels that a run can be asked for. */
const LEVELS: readonly string[] = ["Base", "Full", "Differential", "Incremental", "VirtualFull"];

/** `onRules` hears by which rules the director wants volumes to be pruned. */
export function catalogHandlers(
  { catalog, desk, dialed }: CatalogServices,
  onRules: (list: PoolList__Output) => void,
): Handlers {
  const { reader, writer } = catalog;
  return {
    ResolveParents: async (request: ResolveRequest__Output) => {
      if (!LEVELS.includes(request.level)) {
        throw new BackupError("REQUEST_INVALID", `level "${request.level}" is not known to this storage`);
      }
      const parents = await reader.resolve(request);
      const lists = parents.ownNewest > 0 || parents.chain.length > 0 || parents.bases.length > 0;
      if (!parents.committed) dialed?.dial(request, lists ? 2 : 1);
      return parents;
    },
    SyncPools: async (list: PoolList__Output) => {
      const all = await writer.syncPools(list.pools.map(fromPool));
      await writer.syncCounters(list.counters.map(fromCounter));
      onRules(list);
      desk.changed();
      return { pools: all.map(toPool) };
    },
    ListPools: async ({ name }: { name: string }) => ({ pools: (await reader.listPools(name)).map(toPool) }),
    ListVolumes: async ({ pool, volume }: { pool: string; volume: string }) => ({
      volumes: (await reader.listVolumes(pool, volume)).map(toVolume),
    }),
    ListJobs: async (request: ListJobsRequest__Output) => ({
      jobs: (await catalog.listJobs(request)).map(toJob),
    }),
    NextJobId: async () => ({ highest: await reader.highestJobId() }),
    Label: async (request: LabelRequest__Output) => label(desk, request),
    ListEntries: async (request: ListEntriesRequest__Output, { signal }, send) => {
      const list = async () => {
        const handle = await reader.openEntries({
          jobIds: request.jobIds,
          ownRows: request.ownRows,
          deleted: request.deleted,
          directory: keyOf(request.directory),
          children: request.children,
          after: request.after.length > 0 ? keyOf(request.after) : undefined,
          limit: request.limit,
          rules: toRules(request.rules),
          baseOnly: request.baseOnly,
          numbered: request.numbered,
          fromRow: request.fromRow,
          withDeleted: request.withDeleted,
          images: request.images,
        });
        await sendPages(catalog.pages(handle, reader.nextEntries, signal), send);
      };
      await catalog.withListsOf(request.jobIds, list, signal);
    },
    FindEntries: async (request: FindRequest__Output, { signal }, send) => {
      const pattern = request.path.length > 0 ? request.path.latin1Slice() : bytesOfText(request.pattern);
      const { client, limit, jobIds, exact, numbered } = request;
      const find = async () => {
        const handle = await reader.openFind({ client, pattern, limit, jobIds, exact, numbered });
        await sendPages(catalog.pages(handle, reader.nextFind, signal), send);
      };
      await catalog.withLists(await reader.listsToFind({ client, jobIds }), find, signal);
    },
    ListJobMedia: async ({ jobIds }: ListJobMediaRequest__Output, { signal }, send) => {
      for (let after = 0; ; ) {
        const extents = await reader.extents(after, jobIds, PAGE_EXTENTS);
        signal.throwIfAborted();
        if (extents.length === 0) return;
        after = extents.at(-1)!.job;
        await send({ extents });
      }
    },
    CountSelection: async (selection: Selection__Output, { signal }) =>
      catalog.withListsOf(selection.jobIds, () => count(catalog, selection, signal), signal),
  };
}

async function sendPages(pages: AsyncIterable<ListedEntry[]>, send: Send): Promise<void> {
  for await (const page of pages) {
    for (let at = 0; at < page.length; at += BLOCK_TARGET_ROWS) {
      await send({ entries: page.slice(at, at + BLOCK_TARGET_ROWS).map(toEntry) });
    }
  }
}

async function count(
  { reader }: Catalog,
  selection: Selection__Output,
  signal: AbortSignal,
): Promise<object> {
  const handle = await reader.openCount(selection.jobIds, toRules(selection.rules));
  try {
    for (;;) {
      const { done, files, bytes, total } = await reader.stepCount(handle);
      if (done) return { files, bytes, total };
      signal.throwIfAborted();
    }
  } finally {
    await reader.closeHandle(handle).catch(() => undefined);
  }
}

async function label(desk: VolumeDesk, request: LabelRequest__Output): Promise<object> {
  const { volume, recordOnly, inChanger } = request;
  if (!isVolumeName(volume)) return { ok: false, error: `Volume name "${volume}" is not valid` };
  const messages: string[] = [];
  const order = { ...request, say: (text: string) => void messages.push(text) };
  try {
    if (recordOnly) {
      const record = await desk.orders.add(order, inChanger);
      return { ok: true, device: record.device };
    }
    const { record, path } = await desk.orders.label(order);
    return { ok: true, volumeBytes: record.bytes, device: record.device, path, messages };
  } catch (error) {
    const code = codeOf(error);
    const exists = code === "VOLUME_EXISTS" || code === "STORE_EXISTS";
    return { ok: false, error: describeError(error), exists, messages };
  }
}
