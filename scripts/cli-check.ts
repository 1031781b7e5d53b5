/** `basalt check` on the command line. */

import { type Command, InvalidArgumentError } from "commander";

interface CheckCliOptions {
  readonly config: string;
  readonly volume?: string;
  readonly pool?: string;
  readonly repair?: true;
  readonly quick?: true;
  readonly limit: number;
}

/** `finish` runs the command and leaves its exit status. */
export function addCheck(program: Command, finish: (outcome: () => Promise<number>) => Promise<void>): void {
  program
    .command("check")
    .description("compare the storage daemon's catalog with its volumes while it does not run")
    .requiredOption("-c, --config <file>", "configuration of the storage daemon")
    .option("--volume <name>", "only this volume, and the jobs that need it")
    .option("--pool <name>", "only the volumes of this pool")
    .option(
      "--repair",
      "set aside what is damaged, so that the next backups store it anew; nothing is removed",
    )
    .option("--quick", "do not read the volumes: only whether they are there, whole and labelled right")
    .option("--limit <bytes>", "bytes a second read from volumes (default: no limit)", byteCount, 0)
    .action(({ config, volume = "", pool = "", repair, quick, limit }: CheckCliOptions) =>
      finish(async () => {
        const { runCheckCommand } = await import("../storaged/check/cli.js");
        const flags = { repair: repair === true, quick: quick === true };
        return runCheckCommand({ configFile: config, volume, pool, bytesPerSec: limit, ...flags });
      }),
    );
}

function byteCount(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a limit is a number of bytes");
}
