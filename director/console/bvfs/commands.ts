/** Bacula's file browser for programs (developers' guide, "Bvfs API"). */
import type { Command } from "../context.js";
import { lsdirs, lsfiles, versions } from "./browse.js";
import { bvfsUpdate, decode, getJobIds, getVolumes } from "./jobs.js";
import { bvfsRestore, cleanup, clearCache } from "./restore-list.js";

export const BVFS_COMMANDS: readonly Command[] = [
  cleanup,
  clearCache,
  decode,
  getJobIds,
  getVolumes,
  lsdirs,
  lsfiles,
  bvfsRestore,
  bvfsUpdate,
  versions,
];
