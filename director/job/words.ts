/** What the letters of runs are called. */

import type { StatusLetter } from "../db/records.js";

export const TYPE_WORDS: Readonly<Record<string, string>> = {
  B: "Backup",
  R: "Restore",
  V: "Verify",
  D: "Admin",
  c: "Copy",
  g: "Migration",
  C: "Job Copy",
  M: "Migrated Job",
};

/** As mails and %-codes have them. */
export const OUTCOME_WORDS: Readonly<Record<StatusLetter, string>> = {
  C: "Created",
  R: "Running",
  T: "OK",
  W: "OK -- with warnings",
  D: "Differences",
  E: "Error",
  f: "Fatal Error",
  A: "Canceled",
  I: "Incomplete",
};
