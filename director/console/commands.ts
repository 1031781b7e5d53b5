/** The tables of commands. Their order decides what an abbreviation means. */
import { add } from "./commands/add.js";
import { autodisplay } from "./commands/autodisplay.js";
import { cancel, stop } from "./commands/cancel.js";
import { check } from "./commands/check.js";
import { create } from "./commands/create.js";
import { remove } from "./commands/delete.js";
import { DOT_COMMANDS as DOTS } from "./commands/dot.js";
import { disable, enable } from "./commands/enable.js";
import { estimate } from "./commands/estimate.js";
import { help } from "./commands/help.js";
import { label } from "./commands/label.js";
import { list, llist } from "./commands/list.js";
import { memory } from "./commands/memory.js";
import { messages } from "./commands/messages.js";
import { automount, mount, release, umount, unmount } from "./commands/mount.js";
import { prune } from "./commands/prune.js";
import { purge } from "./commands/purge.js";
import { query } from "./commands/query.js";
import { exit, quit } from "./commands/quit.js";
import { rebase } from "./commands/rebase.js";
import { reference } from "./commands/reference.js";
import { relabel } from "./commands/relabel.js";
import { reload } from "./commands/reload.js";
import { restart, resume } from "./commands/restart.js";
import { restore } from "./commands/restore.js";
import { run } from "./commands/run.js";
import { setdebug, trace } from "./commands/set.js";
import { setbandwidth } from "./commands/setbandwidth.js";
import { setip } from "./commands/setip.js";
import { show } from "./commands/show.js";
import { sqlquery } from "./commands/sqlquery.js";
import { statistics } from "./commands/statistics.js";
import { status } from "./commands/status.js";
import { time } from "./commands/time.js";
import { gui, variable } from "./commands/trifles.js";
import { truncate } from "./commands/truncate.js";
import { update } from "./commands/update.js";
import { use } from "./commands/use.js";
import { vacuum } from "./commands/vacuum.js";
import { version } from "./commands/version.js";
import { wait } from "./commands/wait.js";
import type { Command } from "./context.js";

export const COMMANDS: readonly Command[] = [
  add,
  autodisplay,
  automount,
  cancel,
  create,
  remove,
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
  mount,
  prune,
  purge,
  quit,
  query,
  restore,
  relabel,
  release,
  reload,
  rebase,
  run,
  restart,
  resume,
  status,
  stop,
  setdebug,
  setbandwidth,
  setip,
  show,
  sqlquery,
  statistics,
  time,
  trace,
  truncate,
  unmount,
  umount,
  update,
  use,
  vacuum,
  variable,
  version,
  wait,
  check,
  reference,
];

export const DOT_COMMANDS: readonly Command[] = DOTS;
