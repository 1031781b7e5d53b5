/** The configuration, read again while jobs run. */

import { describeError } from "../common/errors.js";
import type { DirectorConfig } from "./config/types.js";

export interface ReloadResult {
  ok: boolean;
  /** Findings, one line each; the old configuration stays in force when there are any. */
  errors: string[];
}

/** What the running process holds on to until its next start. */
const FIXED = ["name", "address", "port", "workingDirectory", "ticketKeyFile", "revokedFile"] as const;

/** What reading it again came to; either way there are messages of the daemon to tell. */
export type Reread =
  | { config: DirectorConfig; warnings: string[] }
  | { config: undefined; errors: string[]; text: string };

/** `old` stays in force when the new one has faults. */
export function readAgain(old: DirectorConfig, load: () => DirectorConfig): Reread {
  let config: DirectorConfig;
  try {
    config = load();
  } catch (error) {
    const errors = (error instanceof Error ? error.message : describeError(error)).split("\n");
    const text = `Please correct the configuration file ${old.file}:\n${errors.join("\n")}\nThe old configuration stays in force.`;
    return { config: undefined, errors, text };
  }
  const warnings = FIXED.filter((key) => old.director[key] !== config.director[key]).map(
    (key) => `The new ${key} of the Director takes effect at its next start.`,
  );
  return { config, warnings };
}
