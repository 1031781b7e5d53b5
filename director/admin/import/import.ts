/**
 * `basalt import FILE… -o DIR`: an installation out of the configuration of Bacula or Bareos. What the daemons' own
 * loaders do not take is not written; every directive is either in the result or in DIR/import-report.txt.
 */

import { existsSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import type { CatalogCopy } from "../../../common/bacula/map/job.js";
import { BackupError, describeError, EXIT } from "../../../common/errors.js";
import { packageRoot } from "../../../common/package.js";
import { makeDirectory, type Print, replaceFile, writeNew } from "../files.js";
import { type Builds, type ImportPlan, planImport } from "./plan.js";
import { readOriginals } from "./read.js";
import { hasLosses, type ReportData, reportText, summary } from "./report.js";
import { configurationFiles, foundInstallation, peersOf, writeInstallation } from "./write.js";

export interface ImportOptions {
  /** Files and directories, in any order. */
  readonly inputs: readonly string[];
  readonly directory: string;
  /** Replace what an earlier import or init made; keys and certificates that fit stay. (Default: no) */
  readonly overwrite?: boolean | undefined;
  /** Only print the report. */
  readonly dryRun?: boolean | undefined;
  /** Pools store equal content once. (Default: no, as Bacula) */
  readonly deduplicate?: boolean | undefined;
}

/** The daemons' loaders: of entries in memory, and of the files that were written. */
export interface Loaders {
  readonly builds: Builds;
  /** Loads a file as `-t` does; gives its warnings. @throws ConfigError */
  readonly test: (role: keyof Builds, file: string) => readonly unknown[];
}

const REPORT = "import-report.txt";

/**
 * Imports and prints the report. Exit status 0, 1 when DIR holds an installation, 3 when something that did something
 * could not be carried over.
 * @throws ConfigError with every syntax error of the originals; BackupError CONFIG_NOT_FOUND, CONFIG_INVALID, USAGE
 */
export async function runImport(options: ImportOptions, loaders: Loaders, print: Print): Promise<number> {
  const directory = path.resolve(options.directory);
  const there = foundInstallation(directory);
  if (there.length > 0 && options.overwrite !== true && options.dryRun !== true) {
    print(`${directory} already holds an installation (${there.join(", ")}); nothing was changed`);
    print("say --overwrite to replace its configuration; keys and certificates that fit are kept");
    return EXIT.error;
  }
  const originals = readOriginals(options.inputs);
  const { builds } = loaders;
  const deduplicate = options.deduplicate === true;
  const plan = planImport(originals, { builds, deduplicate, catalogCopy: catalogCopy(directory) });
  const data: ReportData = { ...originals, ...plan, directory, steps: nextSteps(directory, plan) };
  const text = reportText(data);
  if (options.dryRun !== true) {
    refuseStrangers(directory, plan, options.overwrite === true);
    await writeInstallation(directory, plan, [hostname()]);
    putReport(directory, text);
    testAll(directory, plan, loaders);
  }
  for (const line of text.trimEnd().split("\n")) print(line);
  print("");
  print(
    options.dryRun === true
      ? "nothing was written"
      : `${summary(data)}; this is in ${path.join(directory, REPORT)}`,
  );
  return hasLosses(data) ? EXIT.warnings : EXIT.ok;
}

/** As the example configuration does it. */
function catalogCopy(directory: string): CatalogCopy {
  const copies = path.join(directory, "var/catalog");
  const file = (name: string): string => `"${path.join(directory, name)}"`;
  const daemons = `--storaged ${file("storaged.yaml")} --director ${file("director.yaml")}`;
  const program = path.join(packageRoot(), "basalt");
  return { command: `"${program}" catalog copy ${daemons} "${copies}"`, directory: copies };
}

/** Files of the same names that belong to nobody known are left alone. */
function refuseStrangers(directory: string, plan: ImportPlan, overwrite: boolean): void {
  if (overwrite) return;
  const there = configurationFiles(plan).filter(({ name }) => existsSync(path.join(directory, name)));
  if (there.length === 0) return;
  const shown = there.slice(0, 5).map(({ name }) => name);
  throw new BackupError("INIT_CONFLICT", `${directory} holds ${shown.join(", ")} already; say --overwrite`);
}

function putReport(directory: string, text: string): void {
  makeDirectory(directory);
  const file = path.join(directory, REPORT);
  if (!writeNew(file, text, 0o600)) replaceFile(file, text, 0o600);
}

/** What was written is read once more, as the daemons will. */
function testAll(directory: string, plan: ImportPlan, { test }: Loaders): void {
  for (const { role, place } of peersOf(plan)) {
    const file = path.join(directory, place, `${role}.yaml`);
    try {
      test(role, file);
    } catch (cause) {
      throw new BackupError("IMPORT_FAILED", `${file} is not usable: ${describeError(cause)}`, { cause });
    }
  }
}

function nextSteps(directory: string, plan: ImportPlan): string[] {
  const file = (name: string): string => path.join(directory, name);
  const steps = [
    "1. Read the sections above, WRONG and NOT SUPPORTED first.",
    "2. Stop Bacula's daemons: the ports are the same.",
  ];
  const daemons = peersOf(plan).filter(({ place, role }) => place === "" && role !== "console");
  steps.push("3. Start the daemons of this machine:");
  for (const { role } of daemons.toReversed()) steps.push(`     basalt ${role} -c ${file(`${role}.yaml`)}`);
  steps.push(`4. Say "status" and "run" on a console:  basalt console -c ${file("console.yaml")}`);
  const others = peersOf(plan).filter(({ place }) => place !== "");
  if (others.length > 0) {
    steps.push(
      "5. Copy each of these directories to its machine, as /etc/basalt, and start its daemon there:",
    );
    for (const { role, place, part } of others) {
      const host = part.hosts[0] ?? "";
      steps.push(`     ${file(place)}   ${role} ${part.name}${host === "" ? "" : ` on ${host}`}`);
    }
  }
  if (plan.storageds.length === 0) {
    steps.push(
      "No storage daemon's file (bacula-sd.conf) was given: none was made. Name it in the command line too.",
    );
  }
  steps.push(
    `Bacula's volumes and catalog stay as they are; restores of old backups need Bacula's own programs.`,
  );
  steps.push(`${file("pki")} holds the keys of the installation: keep a copy of it away from this machine.`);
  return steps;
}
