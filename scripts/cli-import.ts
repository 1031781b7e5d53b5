/** `basalt import`: an installation out of the configuration of Bacula or Bareos. */

import type { Command } from "commander";
import type { Loaders } from "../director/admin/import/import.js";

interface Options {
  readonly output: string;
  readonly overwrite?: true;
  readonly dryRun?: true;
  readonly deduplicate?: true;
}

/** All daemons' loaders: this is the one place that may know them all. */
export async function importLoaders(): Promise<Loaders> {
  const director = await import("../director/config/load.js");
  const filed = await import("../filed/config.js");
  const storaged = await import("../storaged/config.js");
  const consoles = await import("../console/config.js");
  const tests = {
    director: director.loadDirectorConfig,
    filed: filed.loadFiledConfig,
    storaged: storaged.loadStoragedConfig,
    console: consoles.loadConsoleConfig,
  };
  return {
    builds: {
      director: director.buildDirectorConfig,
      filed: filed.buildFiledConfig,
      storaged: storaged.buildStoragedConfig,
      console: consoles.buildConsoleConfig,
    },
    test: (role, file) => tests[role](file).warnings,
  };
}

/** Adds the subcommand; `finish` runs it and leaves the exit status. */
export function addImport(program: Command, finish: (outcome: () => Promise<number>) => Promise<void>): void {
  program
    .command("import")
    .description("make an installation out of the configuration of Bacula (9 to 15) or Bareos")
    .argument(
      "<input...>",
      "bacula-dir.conf, bacula-sd.conf, bacula-fd.conf, bconsole.conf in any order, further files, or a directory such as /etc/bareos",
    )
    .requiredOption("-o, --output <dir>", "the installation to make")
    .option("--overwrite", "replace the configuration of an installation that is there; its keys stay")
    .option("--deduplicate", "pools store equal content once, and compress; else volumes fill as Bacula's do")
    .option("-n, --dry-run", "only print the report")
    .addHelpText("after", HELP)
    .action((inputs: string[], { output, overwrite, dryRun, deduplicate }: Options) =>
      finish(async () => {
        const { runImport } = await import("../director/admin/import/import.js");
        const print = (line: string): void => void process.stdout.write(`${line}\n`);
        const options = { inputs, directory: output, overwrite, dryRun, deduplicate };
        return runImport(options, await importLoaders(), print);
      }),
    );
}

const HELP = `
What became of every directive is printed, and written to DIR/import-report.txt.
Exit status: 0 all carried over, 1 DIR holds an installation, 2 an original cannot be read, 3 something was left out
that has a consequence. Commands in includes (@|…) are never run.

  basalt import /etc/bacula/bacula-dir.conf /etc/bacula/bacula-sd.conf /etc/bacula/bacula-fd.conf \\
    /etc/bacula/bconsole.conf -o /etc/basalt
  basalt import /etc/bareos -o /etc/basalt`;
