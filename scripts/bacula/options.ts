/** Options as Bacula's programs take them (getopt of POSIX): `-c FILE`, `-cFILE`, `-d50`, `-vt`, operands at the end. */

import { BackupError } from "../../common/errors.js";

export interface ParsedOptions {
  /** Letters that were given without a value. */
  readonly flags: ReadonlySet<string>;
  /** The last value of each letter that takes one. */
  readonly values: ReadonlyMap<string, string>;
  readonly operands: readonly string[];
}

/**
 * Parses by a specification as of getopt: a letter that takes a value has `:` behind it.
 * @throws BackupError USAGE
 */
export function parseOptions(args: readonly string[], specification: string): ParsedOptions {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const operands: string[] = [];
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--") {
      operands.push(...rest.splice(0));
    } else if (!/^-./.test(arg)) {
      operands.push(arg);
    } else {
      for (let at = 1; at < arg.length; at++) {
        const letter = arg.charAt(at);
        const place = letter === ":" ? -1 : specification.indexOf(letter);
        if (place < 0) throw new BackupError("USAGE", `invalid option -- '${letter}'`);
        if (specification.charAt(place + 1) !== ":") {
          flags.add(letter);
          continue;
        }
        const value = arg.slice(at + 1) || rest.shift();
        if (value === undefined) throw new BackupError("USAGE", `option requires an argument -- '${letter}'`);
        values.set(letter, value);
        break;
      }
    }
  }
  return { flags, values, operands };
}

/** `-d 50` and `-dt`: how much is logged. */
export function setDebugLevel(values: ReadonlyMap<string, string>): void {
  const level = Number.parseInt(values.get("d") ?? "", 10);
  if (Number.isNaN(level) || level <= 0 || process.env.BASALT_LOG_LEVEL !== undefined) return;
  process.env.BASALT_LOG_LEVEL = level >= 200 ? "trace" : "debug";
}
