/** A change of the configuration in force by a console. */
import { BackupError } from "../../common/errors.js";
import type { DirectorConfig } from "./types.js";

/** The configuration with another address of one client. @throws BackupError NOT_FOUND */
export function withAddress(config: DirectorConfig, client: string, address: string): DirectorConfig {
  const resource = config.clients.get(client);
  if (resource === undefined) throw new BackupError("NOT_FOUND", `Client "${client}" not found`);
  const clients = new Map(config.clients).set(client, Object.freeze({ ...resource, address }));
  return Object.freeze({ ...config, clients });
}
