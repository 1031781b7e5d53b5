/** The other daemons as a console with ACLs may call them, and what of their status it may see. */

import type { FiledStatus__Output } from "../../../proto/generated/basalt/v1/FiledStatus.js";
import type { StorageStatus__Output } from "../../../proto/generated/basalt/v1/StorageStatus.js";
import { type Acl, notAllowed } from "../acl.js";
import { catalogName } from "../context.js";
import type { CallOptions, ConsoleDirector, DaemonCaller } from "../port.js";
import { type CallerRights, RestrictedCaller } from "./caller.js";

/** Whether the console may see a run. */
type Sees = (jobId: number) => boolean;

/** What it gives throws BackupError NOT_ALLOWED for a client or storage that is not granted. */
export function restrictDaemons(
  whole: ConsoleDirector,
  rights: Pick<CallerRights, "acl" | "gate" | "signal">,
  sees: Sees,
): ConsoleDirector["daemons"] {
  const { daemons } = whole;
  const { acl } = rights;
  const caller = (raw: DaemonCaller): DaemonCaller =>
    new RestrictedCaller(raw, { ...rights, catalog: catalogName(whole), config: () => whole.config });
  const needClient = (client: string): void => {
    if (!acl.allowsClient(client)) throw notAllowed(`Client "${client}"`);
  };
  const needStorage = (storage: string): void => {
    if (!acl.allows("storage", storage)) throw notAllowed(`Storage "${storage}"`);
  };
  return {
    filed: async (client: string, options?: CallOptions) => {
      needClient(client);
      return caller(await daemons.filed(client, options));
    },
    storaged: async (storage: string, options?: CallOptions) => {
      needStorage(storage);
      return caller(await daemons.storaged(storage, options));
    },
    filedStatus: async (client) => {
      needClient(client);
      return seenFiled(await daemons.filedStatus(client), sees);
    },
    testNetwork: async (client, storage, load) => {
      needClient(client);
      needStorage(storage);
      return await daemons.testNetwork(client, storage, load);
    },
    storagedStatus: async (storage) => {
      needStorage(storage);
      return seenStoraged(await daemons.storagedStatus(storage), acl, sees);
    },
  };
}

function seenFiled(status: FiledStatus__Output, sees: Sees): FiledStatus__Output {
  return { ...status, running: status.running.filter(({ jobId }) => sees(jobId)) };
}

function seenStoraged(status: StorageStatus__Output, acl: Acl, sees: Sees): StorageStatus__Output {
  const running = status.running
    .filter(({ jobId }) => sees(jobId))
    .map((job) => (acl.allows("pool", job.pool) ? job : { ...job, pool: "", volume: "" }));
  const devices = status.devices.map((device) =>
    device.volume === "" || acl.allows("pool", device.pool)
      ? device
      : { ...device, volume: "", pool: "", volumeBytes: 0, writers: 0 },
  );
  return { ...status, running, devices };
}
