/** Console commands of RunScripts: carried out as at a console without limits that answers no question. */
import { BackupError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import { COMMANDS } from "./commands.js";
import { findByPrefix, parseLine } from "./grammar.js";
import type { ConsoleDirector } from "./port.js";
import { runSession } from "./session.js";

/** As in Bacula: what asks, waits for jobs or ends a console is left out. */
const ALLOWED: ReadonlySet<string> = new Set([
  ...["cancel", "delete", "disable", "enable", "list", "llist", "memory", "prune", "purge", "reload", "run"],
  ...["restart", "resume", "status", "stop", "setdebug", "setbandwidth", "show", "time", "trace", "truncate"],
  ...["update", "use", "version", "rebase", "vacuum", "check"],
]);

/** Printed lines of one command. @throws BackupError COMMAND_INVALID */
export async function runScriptCommand(director: ConsoleDirector, line: string, log: Log): Promise<string[]> {
  const { command } = parseLine(line);
  const known = command.startsWith(".") ? undefined : findByPrefix(COMMANDS, command);
  if (known === undefined || !ALLOWED.has(known.name))
    throw new BackupError("COMMAND_INVALID", `"${command}" is not allowed in a RunScript`);
  return await printed(director, line, log);
}

/** JobIds in the first column of what a statement gives. @throws BackupError SQL_FAILED */
export async function jobIdsBySql(director: ConsoleDirector, sql: string, log: Log): Promise<number[]> {
  const query = sql.replace(/\s+/g, " ").replace(/["\\]/g, "\\$&");
  const rows = await printed(director, `.sql query="${query}"`, log);
  const wrong = rows.find((row) => !/^[1-9]\d*(\t|$)/.test(row));
  if (wrong !== undefined)
    throw new BackupError("SQL_FAILED", `the statement gives no JobId in its first column: ${wrong}`);
  return [...new Set(rows.map((row) => Number.parseInt(row, 10)))];
}

/** Lines that a command prints at a console without limits that answers no question. */
async function printed(director: ConsoleDirector, line: string, log: Log): Promise<string[]> {
  let text = "";
  async function* incoming() {
    yield { line };
  }
  await runSession({
    incoming: incoming(),
    send: async (output) => {
      text += output.text ?? "";
    },
    ...{ peer: { name: "*RunScript*" }, director, log },
  });
  return text.split("\n").filter((each) => each !== "");
}
