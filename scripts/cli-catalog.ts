/** `basalt catalog`: the databases of the daemons. */

import type { Command } from "commander";

/** `finish` runs the outcome and leaves its exit status. */
export function addCatalog(
  program: Command,
  finish: (outcome: () => Promise<number>) => Promise<void>,
): void {
  const catalog = program.command("catalog").description("the databases of the daemons");
  catalog
    .command("copy")
    .description("write consistent copies, whether or not the daemons run: storaged.db, director.db")
    .argument("<directory>", "where; copies of these names there are replaced")
    .option("--storaged <file>", "configuration of a storage daemon: copies its catalog")
    .option("--director <file>", "configuration of the director: copies its database")
    .action((directory: string, options: { storaged?: string; director?: string }) =>
      finish(async () => {
        const { runCatalogCopy } = await import("./catalog-copy.js");
        return runCatalogCopy({ directory, ...options }, (line) => void process.stdout.write(`${line}\n`));
      }),
    );
}
