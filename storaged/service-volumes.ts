/** What operators do to volumes and pools, as the director passes it on. */

import { BackupError, codeOf, describeError } from "../common/errors.js";
import type { DeletePoolRequest__Output } from "../proto/generated/basalt/v1/DeletePoolRequest.js";
import type { DeleteVolumeRequest__Output } from "../proto/generated/basalt/v1/DeleteVolumeRequest.js";
import type { FromPoolRequest__Output } from "../proto/generated/basalt/v1/FromPoolRequest.js";
import type { RelabelRequest__Output } from "../proto/generated/basalt/v1/RelabelRequest.js";
import type { RetentionReply } from "../proto/generated/basalt/v1/RetentionReply.js";
import type { TruncateRequest__Output } from "../proto/generated/basalt/v1/TruncateRequest.js";
import type { UpdateVolumeRequest__Output } from "../proto/generated/basalt/v1/UpdateVolumeRequest.js";
import type { Handlers } from "../proto/rpc.js";
import type { Catalog } from "./catalog/catalog.js";
import type { VolumeChanges } from "./catalog/writer-volumes.js";
import { toVolume } from "./service-convert.js";
import type { VolumeDesk } from "./session/volume-desk.js";

export interface VolumeServices {
  catalog: Catalog;
  desk: VolumeDesk;
}

export function volumeHandlers(services: VolumeServices): Handlers {
  const { admin } = services.desk;
  return {
    UpdateVolume: (request: UpdateVolumeRequest__Output) =>
      answered(async () => {
        const volume = await admin.update(request.volume, changesOf(request), request.pool);
        return { ok: true, volume: toVolume(volume) };
      }),
    UpdateVolumesFromPool: ({ pool, volume }: FromPoolRequest__Output) =>
      listed(async () => ({ volumes: (await admin.fromPool(pool, volume)).map(toVolume) })),
    Relabel: ({ volume, newName, pool }: RelabelRequest__Output) =>
      answered(async () => {
        const { record, path } = await admin.relabel(volume, newName, pool);
        return { ok: true, volumeBytes: record.bytes, device: record.device, path };
      }),
    Truncate: (request: TruncateRequest__Output) => listed(() => truncate(services, request)),
    DeleteVolume: (request: DeleteVolumeRequest__Output) => deleteVolume(services, request),
    DeletePool: ({ pool }: DeletePoolRequest__Output) =>
      listed(async () => {
        await admin.removePool(pool);
        return { messages: [`Pool "${pool}" deleted.`] };
      }),
  };
}

/** Keys that are not in the message stay undefined: they do not change. */
function changesOf(request: UpdateVolumeRequest__Output): VolumeChanges {
  const { status, enabled, retention, useDuration, maxJobs, maxBytes } = request;
  const { recycle, slot, inChanger, recyclePool, truncateOnPurge } = request;
  const all = {
    ...{ status, enabled, retention, useDuration, maxJobs, maxBytes },
    ...{ recycle, slot, inChanger, recyclePool, truncateOnPurge },
  };
  const numbers = [retention, useDuration, maxJobs, maxBytes, slot];
  if (numbers.some((value) => value !== undefined && (!Number.isSafeInteger(value) || value < 0)))
    throw new BackupError("REQUEST_INVALID", "a limit must be a whole number that is not negative");
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as VolumeChanges;
}

/** An error of the request is an answer; everything else breaks the call. */
async function answered(work: () => Promise<object>): Promise<object> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    const code = codeOf(error);
    const exists = code === "VOLUME_EXISTS" || code === "STORE_EXISTS";
    return { ok: false, error: describeError(error), ...(exists ? { exists } : {}) };
  }
}

async function listed(work: () => Promise<object>): Promise<object> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    return { errors: [describeError(error)] };
  }
}

/** As in Bacula only volumes with `Action On Purge = Truncate` are truncated. */
async function truncate(
  { catalog, desk }: VolumeServices,
  request: TruncateRequest__Output,
): Promise<object> {
  const { volume, pool, allPools, device } = request;
  if (volume === "" && pool === "" && !allPools)
    throw new BackupError("REQUEST_INVALID", "truncate needs a volume, a pool, or all pools");
  const all = await catalog.reader.listVolumes(allPools ? "" : pool, volume);
  if (volume !== "" && all.length === 0)
    throw new BackupError("VOLUME_UNKNOWN", `Volume "${volume}" is not in the catalog`);
  const wanted = all.filter(
    (one) =>
      one.status === "Purged" && one.truncateOnPurge && (device === "" || desk.orders.reaches(device, one)),
  );
  const volumes: object[] = [];
  const messages: string[] = [];
  const errors: string[] = [];
  for (const { name } of wanted) {
    try {
      volumes.push(toVolume(await desk.admin.truncate(name)));
      messages.push(`The volume "${name}" has been truncated`);
    } catch (error) {
      errors.push(`Volume "${name}" was not truncated: ${describeError(error)}`);
    }
  }
  if (wanted.length === 0) messages.push("No Volumes found to perform the command.");
  return { volumes, messages, errors };
}

/** Refused while a job needs the volume; jobs that are to go with it are purged first (`Purge`). */
async function deleteVolume(
  { catalog, desk }: VolumeServices,
  { volume: name, removeFile }: DeleteVolumeRequest__Output,
): Promise<RetentionReply> {
  const [volume] = name === "" ? [] : await catalog.reader.listVolumes("", name);
  if (volume === undefined) throw new BackupError("VOLUME_UNKNOWN", `Volume "${name}" is not in the catalog`);
  const { neededBy, running } = await desk.admin.needOf(volume.id);
  if (running || neededBy.length > 0) {
    const why = running ? "a job that runs uses it" : `needed by JobIds ${neededBy.join(",")}`;
    const reason = `Volume "${name}" cannot be deleted: ${why}`;
    return { refused: true, messages: [reason], items: [{ action: "refused", reason, neededBy }] };
  }
  await desk.admin.remove(name, removeFile);
  return { messages: [`Volume "${name}" deleted from the catalog.`] };
}
