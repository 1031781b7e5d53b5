/** Programs under Bacula's names, for start and maintenance scripts that call them: conf/bacula-names. */

import { EXIT } from "../../common/errors.js";

/** Runs one; the exit status. */
export async function runNamedProgram(name: string, args: readonly string[]): Promise<number> {
  switch (name) {
    case "bacula-dir":
    case "bacula-sd":
    case "bacula-fd":
      return (await import("./daemon.js")).runNamedDaemon(name, args);
    case "bconsole":
      return (await import("./console.js")).runNamedConsole(args);
    case "bls":
    case "bextract":
    case "bscan":
      return (await import("./volumes.js")).runVolumeTool(name, args);
    default:
      process.stderr.write(
        "usage: basalt bacula bacula-dir|bacula-sd|bacula-fd|bconsole|bls|bextract|bscan …, with its options\n",
      );
      return EXIT.usage;
  }
}
