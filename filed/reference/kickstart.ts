/**
 * An installation that runs by itself: the installer's kernel is booted directly, fetches its kickstart (or preseed) file
 * from here, installs onto an empty disk and powers off.
 */
import { open } from "node:fs/promises";
import { ConsoleLog } from "./console-log.js";
import { makeEmptyImage } from "./disk.js";
import { KickstartServer } from "./kickstart-server.js";
import type { BuildTools } from "./programs.js";
import type { KickstartRecipe } from "./settings.js";
import { runMachine } from "./virtual-machine.js";

/**
 * Makes the image `target`, which must not exist.
 * @throws BackupError REFERENCE_KICKSTART, REFERENCE_PLACE, and as `runMachine`
 */
export async function buildByKickstart(
  recipe: KickstartRecipe,
  target: string,
  tools: BuildTools & { scratch: string; consoleFile: string },
): Promise<void> {
  const { name, report, scratch } = tools;
  await makeEmptyImage(target, recipe.sizeBytes);
  const server = await KickstartServer.start(recipe.kickstart, (agent) =>
    report("info", `Reference ${name}: the installer has fetched its kickstart file (${agent || "no name"})`),
  );
  try {
    const console = await ConsoleLog.open(tools.consoleFile);
    try {
      const append = recipe.append.replaceAll("{kickstart}", server.url);
      // The URL is for the installer alone.
      const words = `"${recipe.append}", console in ${console.file}`;
      report("info", `Reference ${name}: boot ${recipe.boot.kernel} with ${words}`);
      const boot = { ...recipe.boot, append };
      const vm = { machine: recipe.machine, disk: target, throwAway: false, boot, network: true, scratch };
      await runMachine(vm, console, { ...tools, doing: "building reference machine (kickstart)" });
      const failed = (text: string) => console.failure("REFERENCE_FAILED", text, tools);
      if (server.fetched === 0)
        throw failed("the machine has powered off without having fetched its kickstart file");
      if (!(await isWritten(target)))
        throw failed("the installer has powered off and has written nothing to the disk");
    } finally {
      await console.close();
    }
  } finally {
    await server.close();
  }
}

/** A file system without partitions may begin with zeros: then what comes behind them tells. */
async function isWritten(image: string): Promise<boolean> {
  const handle = await open(image, "r");
  try {
    const { buffer } = await handle.read(Buffer.alloc(65_536), 0, 65_536, 0);
    return buffer.some((byte) => byte !== 0);
  } finally {
    await handle.close();
  }
}
