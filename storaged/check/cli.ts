/**
 * `basalt check`: the catalog against the volumes while the storage daemon does not run. The lock on the working
 * directory keeps it from starting meanwhile. Exit: 0 all good, 1 something is wrong, 3 all of it was dealt with.
 */

import { BackupError, codeOf, EXIT } from "../../common/errors.js";
import { lockWorkingDirectory } from "../../common/working-directory.js";
import { Catalog } from "../catalog/catalog.js";
import { ChangerStore, slotsOf } from "../changer/changer-store.js";
import { loadStoragedConfig } from "../config.js";
import { FileStore } from "../store/file-store.js";
import { FrameVerifier } from "../volume/verify.js";
import { runCheck } from "./check.js";
import { findingText, summaryText } from "./print.js";
import type { CheckOptions } from "./types.js";

export interface CheckCommand extends CheckOptions {
  configFile: string;
}

/** Prints findings as they are made; the exit status. @throws BackupError ALREADY_RUNNING, CATALOG_UNUSABLE */
export async function runCheckCommand(
  command: CheckCommand,
  print: (text: string) => void = (text) => void process.stdout.write(text),
): Promise<number> {
  const config = loadStoragedConfig(command.configFile);
  const lock = takeLock(config.workingDirectory);
  const verifier = new FrameVerifier();
  let catalog: Catalog | undefined;
  const abort = new AbortController();
  const interrupt = () => abort.abort(new BackupError("JOB_CANCELED", "interrupted"));
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, interrupt);
  try {
    catalog = await Catalog.open(config.catalogFile, (error) => abort.abort(error));
    const devices = () => config.devices;
    const opened = catalog;
    const store = new ChangerStore({ below: new FileStore(), devices, catalog: slotsOf(() => opened) });
    const deps = { catalog, store, devices, verifier, inUse: () => false };
    const telling = {
      finding: async (finding: Parameters<typeof findingText>[0]) => print(findingText(finding)),
      progress: async () => undefined,
    };
    const summary = await runCheck(deps, command, telling, abort.signal);
    print(summaryText(summary));
    if (summary.findings === 0) return EXIT.ok;
    return summary.repaired === summary.findings ? EXIT.warnings : EXIT.error;
  } finally {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, interrupt);
    await catalog?.close();
    await verifier.close();
    lock.release();
  }
}

function takeLock(directory: string) {
  try {
    return lockWorkingDirectory(directory, "storaged");
  } catch (error) {
    if (codeOf(error) !== "ALREADY_RUNNING") throw error;
    const hint = `${(error as Error).message}; stop it, or use the console's command "check"`;
    throw new BackupError("ALREADY_RUNNING", hint, { cause: error });
  }
}
