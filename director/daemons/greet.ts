/** The first word to storage daemons, so that their pools are right before a job needs them. */

import { describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import type { DirectorConfig } from "../config/types.js";
import type { Daemons } from "./daemons.js";

const GREET_MS = 30_000;

/**
 * Brings the pools to every storage daemon that is there; the others get them when they are first used.
 * `signal`: once it is aborted nothing more is said in the log.
 */
export function greetStorages(
  director: {
    readonly config: DirectorConfig;
    readonly daemons: Pick<Daemons, "storaged">;
    isEnabled(kind: "storage", name: string): boolean;
  },
  signal: AbortSignal,
  log: Log,
): void {
  for (const name of director.config.storages.keys()) {
    if (!director.isEnabled("storage", name)) continue;
    void director.daemons.storaged(name, { timeoutMs: GREET_MS, signal }).catch((error: unknown) => {
      if (!signal.aborted) log.warn(describeError(error));
    });
  }
}
