/** The tables of commands. Their order decides what an abbreviation means. */
import { autodisplay } from "./commands/autodisplay.js";
import { cancel } from "./commands/cancel.js";
import { DOT_COMMANDS as DOTS } from "./commands/dot.js";
import { disable, enable } from "./commands/enable.js";
import { estimate } from "./commands/estimate.js";
import { help } from "./commands/help.js";
import { label } from "./commands/label.js";
import { list, llist } from "./commands/list.js";
import { memory } from "./commands/memory.js";
import { messages } from "./commands/messages.js";
import { exit, quit } from "./commands/quit.js";
import { reload } from "./commands/reload.js";
import { restore } from "./commands/restore.js";
import { run } from "./commands/run.js";
import { setbandwidth, setdebug, trace } from "./commands/set.js";
import { show } from "./commands/show.js";
import { status } from "./commands/status.js";
import { time } from "./commands/time.js";
import { gui, variable } from "./commands/trifles.js";
import { use } from "./commands/use.js";
import { version } from "./commands/version.js";
import { wait } from "./commands/wait.js";
import type { Command } from "./context.js";

/** A command of Bacula that abbreviations must know and that this version does not carry out. */
function absent(name: string, summary: string): Command {
  return {
    name,
    summary: `${summary} (not available)`,
    usage: [],
    keywords: [],
    run: async (context) => void (await context.fail(`${name}: is not available in this version.`)),
  };
}

export const COMMANDS: readonly Command[] = [
  absent("add", "Add volumes to a pool"),
  autodisplay,
  absent("automount", "Switch automatic mounting"),
  cancel,
  absent("create", "Create a pool from its resource"),
  absent("delete", "Delete volumes, pools or jobs"),
  disable,
  enable,
  estimate,
  exit,
  gui,
  help,
  label,
  list,
  llist,
  messages,
  memory,
  absent("mount", "Mount a volume"),
  absent("prune", "Prune expired records"),
  absent("purge", "Purge records"),
  quit,
  absent("query", "Query the catalog"),
  restore,
  absent("relabel", "Relabel a volume"),
  absent("release", "Release a device"),
  reload,
  run,
  absent("restart", "Restart a job"),
  absent("resume", "Resume a job"),
  status,
  absent("stop", "Stop a job"),
  setdebug,
  setbandwidth,
  absent("setip", "Set the address of a client"),
  show,
  absent("sqlquery", "Query the catalog with SQL"),
  absent("statistics", "Show statistics"),
  time,
  trace,
  absent("truncate", "Truncate volumes"),
  absent("unmount", "Unmount a volume"),
  absent("umount", "Unmount a volume"),
  absent("update", "Update volumes, pools, slots or statistics"),
  use,
  variable,
  version,
  wait,
];

export const DOT_COMMANDS: readonly Command[] = DOTS;
