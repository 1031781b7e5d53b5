/** The `basalt` command. Every subcommand loads its own part only, so that a daemon holds nothing else. */

import { Command, CommanderError, InvalidArgumentError } from "commander";
import type { BaculaOrigin } from "../common/bacula/origin.js";
import { ConfigError, type Diagnostic, formatDiagnostic } from "../common/config/diagnostics.js";
import { BackupError, describeError, EXIT, exitCodeOf } from "../common/errors.js";
import { packageVersion } from "../common/package.js";
import type { TlsFiles } from "../common/tls/load.js";
import { addCatalog } from "./cli-catalog.js";
import { addCheck } from "./cli-check.js";
import { addImport } from "./cli-import.js";
import { addReference } from "./cli-reference.js";
import { addRestoreVm } from "./cli-restore-vm.js";
import { addSnapshot } from "./cli-snapshot.js";

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const complain = (line: string): void => void process.stderr.write(`${line}\n`);

type Outcome = number | Promise<number>;

/** Time that connections get to close once a subcommand has returned. */
const CLOSE_MS = 2000;

/** Runs a subcommand and leaves its exit status; the process ends by itself, or shortly after. */
async function finish(outcome: () => Outcome): Promise<void> {
  try {
    process.exitCode = await outcome();
  } catch (error) {
    reportError(error);
    process.exitCode = exitCodeOf(error);
  }
  setTimeout(() => process.exit(), CLOSE_MS).unref();
}

function reportError(error: unknown): void {
  if (error instanceof ConfigError) {
    for (const found of error.diagnostics) complain(formatDiagnostic(found));
  } else if (error instanceof BackupError || (error as NodeJS.ErrnoException).syscall !== undefined) {
    complain(`basalt: ${describeError(error)}`);
  } else {
    complain(
      `basalt: internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  }
}

/** What `-t` looks at, of whichever daemon. */
interface Testable {
  readonly warnings: readonly Diagnostic[];
  readonly tls?: TlsFiles;
  readonly bacula?: BaculaOrigin | undefined;
}

/**
 * `-t`: every finding to stderr; status 0 when the configuration can be used, 2 when it cannot. Certificates are
 * looked at too, but only warned about: the test may run as another user or before they are made. With Bacula's own
 * files they are made by the daemons themselves.
 */
async function testConfig(load: (file: string) => Testable, file: string): Promise<number> {
  const { warnings, tls, bacula } = load(file);
  for (const found of warnings) complain(formatDiagnostic(found));
  if (tls === undefined || bacula !== undefined) return EXIT.ok;
  const { expiryWarning, loadTls } = await import("../common/tls/load.js");
  try {
    const soon = expiryWarning(loadTls(tls).certificate);
    if (soon !== undefined) complain(`${file}: warning: ${soon}`);
  } catch (error) {
    complain(`${file}: warning: ${describeError(error)}`);
  }
  return EXIT.ok;
}

interface DaemonOptions {
  readonly config: string;
  readonly test?: true;
}

interface Daemon {
  readonly name: string;
  readonly description: string;
  readonly test: (file: string) => Promise<number>;
  readonly run: (options: { configFile: string; test: false }) => Promise<number>;
}

const DAEMONS: readonly Daemon[] = [
  {
    name: "director",
    description: "run the director: schedules jobs, tells file and storage daemons what to do",
    test: async (file) => {
      const { loadDirectorConfig } = await import("../director/config/load.js");
      const load = (name: string) => {
        const config = loadDirectorConfig(name);
        return { warnings: config.warnings, tls: config.director.tls, bacula: config.bacula };
      };
      return testConfig(load, file);
    },
    run: async (options) => (await import("../director/main.js")).runDirector(options),
  },
  {
    name: "filed",
    description: "run the file daemon: reads and restores the files of this machine",
    test: async (file) => testConfig((await import("../filed/config.js")).loadFiledConfig, file),
    run: async (options) => (await import("../filed/main.js")).runFiled(options),
  },
  {
    name: "storaged",
    description: "run the storage daemon: keeps volumes and the catalog",
    test: async (file) => testConfig((await import("../storaged/config.js")).loadStoragedConfig, file),
    run: async (options) => (await import("../storaged/main.js")).runStoraged(options),
  },
];

function addDaemons(program: Command): void {
  for (const daemon of DAEMONS) {
    program
      .command(daemon.name)
      .description(daemon.description)
      .requiredOption(
        "-c, --config <file>",
        "configuration file (YAML, or Bacula's own), or a directory of them",
      )
      .option("-t, --test", "test the configuration and exit (0 usable, 2 not)")
      .action(({ config, test }: DaemonOptions) =>
        finish(() => (test === true ? daemon.test(config) : daemon.run({ configFile: config, test: false }))),
      );
  }
}

interface ConsoleCliOptions extends DaemonOptions {
  readonly list?: true;
  readonly director?: string;
  readonly execute?: string;
}

function addConsole(program: Command): void {
  program
    .command("console")
    .description("talk to the director; commands come from the terminal or from standard input")
    .requiredOption(
      "-c, --config <file>",
      "configuration file (YAML, or Bacula's own), or a directory of them",
    )
    .option("-D, --director <name>", "the Director resource to use (default: the first)")
    .option("-e, --execute <command>", "run one command and exit")
    .option("-l, --list", "print the names of the Director resources and exit")
    .option("-t, --test", "test the configuration and exit (0 usable, 2 not)")
    .action(({ config, test, director, execute, list }: ConsoleCliOptions) =>
      finish(async () => {
        if (test === true)
          return testConfig((await import("../console/config.js")).loadConsoleConfig, config);
        const { runConsole } = await import("../console/main.js");
        return runConsole({
          configFile: config,
          ...(list === undefined ? {} : { list }),
          ...(director === undefined ? {} : { director }),
          ...(execute === undefined ? {} : { execute }),
        });
      }),
    );
}

function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65535) return port;
  throw new InvalidArgumentError("a port is a number from 1 to 65535");
}

function addInit(program: Command): void {
  program
    .command("init")
    .description("set up an installation on this machine: certificates, configuration, directories")
    .argument("<directory>", "where; it must not hold an installation yet")
    .option("--name <name>", "start of all names (default: the host's name)")
    .option(
      "--port-base <port>",
      "port of the director; filed and storaged get the next two",
      portNumber,
      9101,
    )
    .option("--host <name...>", "further names and addresses of this machine for the certificates")
    .action(
      (directory: string, { name, portBase, host }: { name?: string; portBase: number; host?: string[] }) =>
        finish(async () => {
          const { runInit } = await import("../director/admin/init.js");
          return runInit({ directory, name, portBase, hosts: host }, print);
        }),
    );
}

const CONFIG_OPTION = ["-c, --config <file>", "the director's configuration", "director.yaml"] as const;

interface AddOptions {
  readonly config: string;
  readonly address?: string;
  readonly port: number;
  readonly write?: true;
  readonly console?: true;
}

function addClientCommands(program: Command): void {
  const client = program.command("client").description("certificates of the machines that are backed up");
  client
    .command("add")
    .description("make a certificate, and a directory ready to be copied to the machine")
    .argument("<name>", "name of the Client resource")
    .option("--address <host>", "where it is reached (default: its name)")
    .option("--port <port>", "port of its file daemon", portNumber, 9102)
    .option("--write", "put the resource into conf.d instead of printing it")
    .option("--console", "for a person at a console with rights of its own, instead of a machine")
    .option(...CONFIG_OPTION)
    .action((name: string, { config, address, port, write, console: isConsole }: AddOptions) =>
      finish(async () => {
        if (isConsole === true) {
          const { addConsole } = await import("../director/admin/console.js");
          return addConsole({ configFile: config, name, address, write }, print);
        }
        const { addClient } = await import("../director/admin/client.js");
        return addClient({ configFile: config, name, address, port, write }, print);
      }),
    );
  client
    .command("renew")
    .description("a new key and certificate under the same name, for a client, daemon or console")
    .argument("<name>", "name in the certificate")
    .option("--revoke-old", "withdraw the certificates it had until now")
    .option(...CONFIG_OPTION)
    .action((name: string, { config, revokeOld }: { config: string; revokeOld?: true }) =>
      finish(async () => {
        const { renewCertificate } = await import("../director/admin/client.js");
        return renewCertificate({ configFile: config, name, revokeOld }, print);
      }),
    );
  client
    .command("revoke")
    .description("withdraw all certificates of a client or console")
    .argument("<name>", "name of the Client or Console resource")
    .option("--reason <text>", "why, for the list")
    .option(...CONFIG_OPTION)
    .action((name: string, { config, reason }: { config: string; reason?: string }) =>
      finish(async () => {
        const { revokeClient } = await import("../director/admin/client.js");
        return revokeClient({ configFile: config, name, reason }, print);
      }),
    );
}

function addVolume(program: Command): void {
  program
    .command("volume")
    .description("look into volumes without a catalog: volume ls FILE")
    .argument("[args...]", "subcommand and its arguments; see: basalt volume help")
    .helpOption(false)
    .allowUnknownOption()
    .action((args: string[]) =>
      finish(async () => (await import("../storaged/volume/cli.js")).runVolumeCommand(args)),
    );
}

function buildProgram(): Command {
  const program = new Command("basalt")
    .description("Backups for fleets of look-alike virtual machines")
    .version(packageVersion(), "-V, --version")
    .showHelpAfterError("(basalt --help lists the commands, basalt COMMAND --help its options)")
    .exitOverride();
  addDaemons(program);
  addConsole(program);
  addInit(program);
  addClientCommands(program);
  addVolume(program);
  for (const add of [addCheck, addCatalog, addImport, addReference, addRestoreVm]) add(program, finish);
  addSnapshot(program, finish, print);
  program
    .command("bacula <program> [args...]")
    .description("bacula-dir, bconsole, bls and others with Bacula's options; see conf/bacula-names");
  return program;
}

/** Runs the command line; usage errors end with status 2. */
async function main(): Promise<void> {
  const [first, name = "", ...args] = process.argv.slice(2);
  if (first === "bacula") {
    // These read their options themselves, as Bacula's programs do.
    const { runNamedProgram } = await import("./bacula/programs.js");
    return finish(() => runNamedProgram(name, args));
  }
  try {
    await buildProgram().parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT.ok);
});
await main();
