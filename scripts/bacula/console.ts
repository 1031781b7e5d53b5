/** `bconsole` with the options of Bacula's. */

import { ConfigError } from "../../common/config/diagnostics.js";
import { describeError, EXIT } from "../../common/errors.js";
import { parseOptions, setDebugLevel } from "./options.js";

const USAGE = `Usage: bconsole [-t] [-l] [-D director] [-C console] [-c config_file] [-d level]
  -c <file>   configuration (default: /etc/bacula/bconsole.conf)
  -C <name>   the Console resource to be
  -D <name>   the Director resource to connect to
  -l          list the Director resources and exit
  -t          test the configuration and exit (0 right, 1 wrong)
  -n -s -u <seconds> -d <level> -v are accepted
`;

/** The exit status: 0 after an orderly end, else 1. */
export async function runNamedConsole(args: readonly string[]): Promise<number> {
  try {
    const { flags, values, operands } = parseOptions(args, "c:C:d:D:lnstu:v?");
    if (flags.has("?")) {
      process.stdout.write(USAGE);
      return EXIT.ok;
    }
    setDebugLevel(values);
    const { runConsole } = await import("../../console/main.js");
    const director = values.get("D");
    const as = values.get("C");
    return await runConsole({
      configFile: values.get("c") ?? operands[0] ?? "/etc/bacula/bconsole.conf",
      ...(flags.has("t") ? { test: true } : {}),
      ...(flags.has("l") ? { list: true } : {}),
      ...(director === undefined ? {} : { director }),
      ...(as === undefined ? {} : { as }),
    });
  } catch (error) {
    process.stderr.write(
      error instanceof ConfigError ? `${error.message}\n` : `bconsole: ${describeError(error)}\n`,
    );
    return EXIT.error;
  }
}
