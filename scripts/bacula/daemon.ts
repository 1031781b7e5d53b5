/**
 * `bacula-dir`, `bacula-sd`, `bacula-fd`: the daemons with the options of Bacula's. Without -f they go to the background
 * once they serve; what they log is in `daemon.log` of their directory then.
 */

import { spawn } from "node:child_process";
import { closeSync, existsSync, fstatSync, readFileSync } from "node:fs";
import path from "node:path";
import { ConfigError, formatDiagnostic } from "../../common/config/diagnostics.js";
import type { Loaded } from "../../common/config/load.js";
import { makeWorkingDirectory } from "../../common/daemon.js";
import { BackupError, describeError, EXIT } from "../../common/errors.js";
import { type ParsedOptions, parseOptions, setDebugLevel } from "./options.js";
import { checkPidFile, removePidFile, writePidFile } from "./pid-file.js";
import { becomeUser, giveDirectory, openForUser } from "./user.js";

export type DaemonName = "bacula-dir" | "bacula-sd" | "bacula-fd";

interface Facts extends Loaded {
  readonly port: number;
  readonly workingDirectory: string;
}

interface Program {
  readonly configFile: string;
  /** Letters of getopt. */
  readonly options: string;
  readonly load: (file: string) => Promise<Facts>;
  readonly run: (options: { configFile: string; onReady: (port: number) => void }) => Promise<number>;
}

const PROGRAMS: Readonly<Record<DaemonName, Program>> = {
  "bacula-dir": {
    configFile: "/etc/bacula/bacula-dir.conf",
    options: "c:d:fg:mPr:stTu:v?",
    load: async (file) => {
      const config = (await import("../../director/config/load.js")).loadDirectorConfig(file);
      const { port, workingDirectory } = config.director;
      return { ...config, port, workingDirectory };
    },
    run: async (options) => (await import("../../director/main.js")).runDirector(options),
  },
  "bacula-sd": {
    configFile: "/etc/bacula/bacula-sd.conf",
    options: "c:d:fg:mpPstTu:v?",
    load: async (file) => (await import("../../storaged/config.js")).loadStoragedConfig(file),
    run: async (options) => (await import("../../storaged/main.js")).runStoraged(options),
  },
  "bacula-fd": {
    configFile: "/etc/bacula/bacula-fd.conf",
    options: "c:d:fg:kmPstTu:vw?",
    load: async (file) => (await import("../../filed/config.js")).loadFiledConfig(file),
    run: async (options) => (await import("../../filed/main.js")).runFiled(options),
  },
};

/** Set in the process that is the daemon of one that went to the background. */
const IN_BACKGROUND = "BASALT_IN_BACKGROUND";
const START_MS = 60_000;

/** The exit status: 0, or 1 for whatever is wrong. */
export async function runNamedDaemon(name: DaemonName, args: readonly string[]): Promise<number> {
  const program = PROGRAMS[name];
  try {
    const options = parseOptions(args, program.options);
    if (options.flags.has("?")) return usage(name, program);
    setDebugLevel(options.values);
    const configFile = path.resolve(options.values.get("c") ?? options.operands[0] ?? program.configFile);
    const config = await program.load(configFile);
    if (options.flags.has("t")) {
      for (const found of config.warnings) complain(formatDiagnostic(found));
      return EXIT.ok;
    }
    if (options.values.has("r")) throw new BackupError("USAGE", "-r is not supported: say run on a console");
    const pidFile = pidFileOf(name, config, options);
    if (options.flags.has("f")) return await serve(name, { configFile, pidFile, options });
    return await goToBackground(name, { args, config, pidFile, user: options.values.get("u") });
  } catch (error) {
    complain(error instanceof ConfigError ? error.message : `${name}: ${describeError(error)}`);
    return EXIT.error;
  }
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`);
}

function usage(name: string, { configFile }: Program): number {
  process.stdout.write(
    [
      `Usage: ${name} [-f] [-t] [-v] [-d level] [-u user] [-g group] [-c config_file]`,
      `  -c <file>   configuration (default: ${configFile})`,
      "  -d <nn>     more in the log; -dt is accepted",
      "  -f          stay in the foreground",
      "  -g <group>  run as this group",
      "  -t          test the configuration and exit (0 right, 1 wrong)",
      "  -u <user>   run as this user",
      "  -P          no PID file",
      "  -m -s -T -v are accepted",
      "",
    ].join("\n"),
  );
  return EXIT.ok;
}

/** Undefined when none is wanted. */
function pidFileOf(name: DaemonName, { bacula, port }: Facts, { flags }: ParsedOptions): string | undefined {
  if (flags.has("P")) return undefined;
  return path.join(bacula?.pidDirectory ?? "/run", `${name}.${port}.pid`);
}

interface Serving {
  readonly configFile: string;
  readonly pidFile: string | undefined;
  readonly options: ParsedOptions;
}

async function serve(name: DaemonName, { configFile, pidFile, options }: Serving): Promise<number> {
  if (pidFile !== undefined) writePidFile(pidFile, name);
  // Scripts look for it with pidof and ps.
  process.title = name;
  try {
    becomeUser(options.values.get("u"), options.values.get("g"));
    const onReady = (): void => {
      if (process.env[IN_BACKGROUND] === undefined || process.send === undefined) return;
      process.send("ready", () => process.disconnect());
    };
    const status = await PROGRAMS[name].run({ configFile, onReady });
    return status === EXIT.ok ? EXIT.ok : EXIT.error;
  } finally {
    if (pidFile !== undefined) removePidFile(pidFile);
  }
}

interface Background {
  readonly args: readonly string[];
  readonly config: Facts;
  readonly pidFile: string | undefined;
  readonly user: string | undefined;
}

/** Starts the daemon apart from this process; returns when it serves, or with status 1 when it ended before. */
async function goToBackground(
  name: DaemonName,
  { args, config, pidFile, user }: Background,
): Promise<number> {
  if (pidFile !== undefined) checkPidFile(pidFile, name);
  const isNew = !existsSync(config.workingDirectory);
  makeWorkingDirectory(config.workingDirectory);
  const logFile = path.join(config.workingDirectory, "daemon.log");
  if (isNew) giveDirectory(user, config.workingDirectory);
  const log = openForUser(logFile, user, 0o640);
  const start = fstatSync(log).size;
  const child = spawn(
    process.execPath,
    [...process.execArgv, process.argv[1]!, "bacula", name, "-f", ...args],
    {
      detached: true,
      stdio: ["ignore", log, log, "ipc"],
      env: { ...process.env, [IN_BACKGROUND]: "1" },
    },
  );
  closeSync(log);
  const ready = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(true), START_MS);
    const end = (isReady: boolean): void => {
      clearTimeout(timer);
      resolve(isReady);
    };
    child.once("message", () => end(true));
    child.once("exit", () => end(false));
    child.once("error", () => end(false));
  });
  if (child.connected) child.disconnect();
  child.unref();
  if (ready) return EXIT.ok;
  // The daemon may have lost the right to do it.
  if (pidFile !== undefined && child.pid !== undefined) removePidFile(pidFile, child.pid);
  process.stderr.write(readFileSync(logFile).subarray(start));
  complain(`${name}: did not start; see ${logFile}`);
  return EXIT.error;
}
