/** `basalt console`: talks to a director, from a terminal or from a pipe. */
import type { Readable, Writable } from "node:stream";
import { BackupError, EXIT } from "../common/errors.js";
import { type ConsoleConfig, type ConsoleDirector, loadConsoleConfig, withCredentials } from "./config.js";
import { connect } from "./connection.js";
import { runInteractive } from "./interactive.js";
import { LineSource, linesOf } from "./line-source.js";
import { ConsoleOutput } from "./output.js";
import { runPiped } from "./piped.js";

export interface ConsoleOptions {
  configFile: string;
  /** Name of the Director resource. (Default: the first) */
  director?: string;
  /** Name of the Console resource to be, with Bacula's own configuration. (Default: the first, if there is one) */
  as?: string;
  /** Run this one command and end; nothing else is read or printed. */
  execute?: string;
  /** Print the names of the Director resources, one a line, and end without connecting. */
  list?: boolean;
  /** Check the configuration and end without connecting. */
  test?: boolean;
  /** (Default: the process's own) */
  stdin?: Readable & { isTTY?: boolean };
  stdout?: Writable & { isTTY?: boolean };
}

/**
 * Runs a console to its end; the exit status: 0 after an orderly end. Errors are thrown for the caller to print:
 * BackupError CONFIG_INVALID, USAGE (no such director), PEER_UNAVAILABLE, CONNECTION_LOST, …
 */
export async function runConsole(options: ConsoleOptions): Promise<number> {
  const stdin = options.stdin ?? process.stdin;
  const stdout = options.stdout ?? process.stdout;
  const config = consoleOf(loadConsoleConfig(options.configFile), options.as);
  const output = new ConsoleOutput(stdout);
  if (options.test === true) return EXIT.ok;
  if (options.list === true) {
    for (const { name } of config.directors) await output.write(`${name}\n`);
    await output.flush();
    return EXIT.ok;
  }
  const director = pickDirector(config, options.director);
  const quiet = options.execute !== undefined;
  if (!quiet) await output.write(`Connecting to Director ${director.address}:${director.port}\n`);
  const connection = await connect(director);
  try {
    if (!quiet) {
      await output.write(`1000 OK: 103 ${connection.name} Version: ${connection.version}\n`);
      await output.write("Enter a period to cancel a command.\n");
    }
    if (stdin.isTTY === true && stdout.isTTY === true && !quiet) {
      await runInteractive({ connection, output, stdin, stdout });
    } else {
      const lines = new LineSource(quiet ? once(options.execute!) : linesOf(stdin));
      await runPiped({ connection, lines, output, echo: !quiet });
    }
  } finally {
    connection.close();
    output.close();
    await output.flush();
  }
  return EXIT.ok;
}

async function* once(line: string): AsyncGenerator<string> {
  yield line;
}

/** @throws BackupError USAGE: no such Console resource */
function consoleOf(config: ConsoleConfig, wanted: string | undefined): ConsoleConfig {
  if (wanted === undefined) return config;
  const { bacula } = config;
  if (bacula?.passwords.of("Console", wanted) === undefined)
    throw new BackupError("USAGE", `no Console resource "${wanted}" with a Password in ${config.file}`);
  return withCredentials(config, bacula, wanted);
}

/** The Director resource of a name, or the first. @throws BackupError USAGE */
export function pickDirector(config: ConsoleConfig, name: string | undefined): ConsoleDirector {
  if (name === undefined) return config.directors[0]!;
  const found = config.directors.find((director) => director.name === name);
  if (found !== undefined) return found;
  const known = config.directors.map((director) => director.name).join(", ");
  throw new BackupError("USAGE", `no Director resource "${name}" in ${config.file}; there are: ${known}`);
}
