/** What a backup says at its end about entries that it left out. */
import type { Walker } from "../walk/walker.js";
import type { LinkTable } from "./link-table.js";
import type { Report } from "./tally.js";
import type { Keeper } from "./unverified.js";

export function tellSkipped(
  { sockets, unknown }: Pick<Walker, "sockets" | "unknown">,
  { overflowed }: Pick<LinkTable, "overflowed">,
  { lost }: Pick<Keeper, "lost">,
  report: Report,
): void {
  if (sockets > 0) report("info", `${sockets} socket${sockets === 1 ? "" : "s"} skipped`);
  if (unknown > 0) report("skipped", `${unknown} entries of unknown type skipped`);
  if (overflowed) report("warning", "too many hard links at once: some were stored as separate files");
  if (lost > 0) {
    report("notsaved", `${lost} unreadable entries could not be kept: the pool lacks their content`);
  }
}
