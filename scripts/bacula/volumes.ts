/** `bls`, `bextract` and `bscan`: Bacula's tools for volumes, by way of `basalt volume`. */

import { ConfigError } from "../../common/config/diagnostics.js";
import { BackupError, describeError, EXIT } from "../../common/errors.js";
import { runVolumeCommand, type VolumeCommandOutput } from "../../storaged/volume/cli.js";
import { type ParsedOptions, parseOptions, setDebugLevel } from "./options.js";
import { type Bootstrap, readBootstrap, readNames, volumeFiles } from "./volume-files.js";

type ToolName = "bls" | "bextract" | "bscan";

interface Tool {
  readonly options: string;
  readonly usage: string;
  readonly run: (call: Call) => Promise<number>;
}

interface Call {
  readonly options: ParsedOptions;
  readonly bootstrap: Bootstrap | undefined;
  readonly files: readonly string[];
  readonly configFile: string;
}

const COMMON = `  -b <file>   bootstrap file
  -c <file>   the storage daemon's configuration (default: /etc/bacula/bacula-sd.conf)
  -V <names>  volumes, with | between them
`;

const TOOLS: Readonly<Record<ToolName, Tool>> = {
  bls: {
    options: "b:c:d:Ee:i:jkLmpr:tvV:?",
    usage: `Usage: bls [options] <device name, directory or volume file>
  -j          the sessions of jobs
  -k -L       the label
${COMMON}  -i <file>   only these names; -p -v -d <level> are accepted
`,
    run: list,
  },
  bextract: {
    options: "b:c:d:e:i:pTtvV:?",
    usage: `Usage: bextract [options] <device name, directory or volume file> <directory for the files>
${COMMON}  -i <file>   only these names; -p -v -t -d <level> are accepted
`,
    run: extract,
  },
  bscan: {
    options: "b:c:d:D:h:k:mn:o:P:pQrRsSt:u:vV:w:?",
    usage: `Usage: bscan [options] <device name, directory or volume file>
  -s          put jobs, files and volumes into the catalog; without it nothing is changed
${COMMON}  -m -n <name> -u <user> -P <password> -h <host> -w <directory> -r -v -p -d <level> are accepted: the catalog is the
  storage daemon's own, which must not run meanwhile
`,
    run: scan,
  },
};

/** The exit status: 0, or 1 for whatever is wrong. */
export async function runVolumeTool(name: ToolName, args: readonly string[]): Promise<number> {
  const tool = TOOLS[name];
  try {
    const options = parseOptions(args, tool.options);
    setDebugLevel(options.values);
    const [device] = options.operands;
    if (options.flags.has("?") || device === undefined) {
      (options.flags.has("?") ? process.stdout : process.stderr).write(tool.usage);
      return options.flags.has("?") ? EXIT.ok : EXIT.error;
    }
    const bootstrapFile = options.values.get("b");
    const bootstrap = bootstrapFile === undefined ? undefined : readBootstrap(bootstrapFile);
    const volumes = options.values.get("V")?.split("|") ?? bootstrap?.volumes ?? [];
    const configFile = options.values.get("c") ?? "/etc/bacula/bacula-sd.conf";
    const files = volumeFiles(device, volumes, configFile);
    if (bootstrap !== undefined && bootstrap.ignored.length > 0 && bootstrap.jobIds.length === 0) {
      complain(
        `${name}: ${bootstrap.ignored.join(", ")} of ${bootstrapFile} are not looked at: all jobs are taken`,
      );
    }
    return await tool.run({ options, bootstrap, files, configFile });
  } catch (error) {
    complain(error instanceof ConfigError ? error.message : `${name}: ${describeError(error)}`);
    return EXIT.error;
  }
}

function complain(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Lines of `ls -l`, with the job in front, as Bacula's has them. */
async function list({ options, bootstrap, files }: Call): Promise<number> {
  const { flags } = options;
  if (flags.has("j") || flags.has("L") || flags.has("k")) {
    const onlyLabel = !flags.has("j");
    return oneOrZero(
      await runVolumeCommand(
        ["ls", "--jobs", ...files],
        printing((line) => !onlyLabel || /^Volume /.test(line)),
      ),
    );
  }
  let found = 0;
  let status = 0;
  for (const jobId of await jobsOn(files, bootstrap)) {
    const lines = lineByLine((line) => {
      found += 1;
      const [mode = "", owner = "", size = "", date = "", time = "", ...name] = line.trim().split(/\s+/);
      const [uid = "", gid = ""] = owner.split("/");
      const about = `${mode} ${uid.padStart(8)} ${gid.padStart(8)} ${size.padStart(14)} ${date} ${time}:00`;
      const shown = line.slice(line.indexOf(`${date} ${time} `) + date.length + time.length + 2);
      return `bls JobId ${jobId}: ${about}  ${name.length === 0 ? "" : shown}`;
    });
    const own = ["extract", ...files, "--list", "--own", "--job", String(jobId), ...pathsOf(options)];
    status = Math.max(status, oneOrZero(await runVolumeCommand(own, lines)));
  }
  process.stdout.write(`${found} files found.\n`);
  return status;
}

/** What each job wrote, the older ones first, so that newer files come over older ones. */
async function extract({ options, bootstrap, files }: Call): Promise<number> {
  const [, directory] = options.operands;
  if (directory === undefined) throw new BackupError("USAGE", "name the directory that the files go to");
  if (options.values.has("e"))
    throw new BackupError("USAGE", "-e is not supported: say with -i what is wanted");
  let status = 0;
  for (const jobId of await jobsOn(files, bootstrap)) {
    const args = ["extract", ...files, "--to", directory, "--replace", "--own", "--job", String(jobId)];
    const output = lineByLine((line) => `bextract JobId ${jobId}: ${line}`);
    status = Math.max(status, oneOrZero(await runVolumeCommand([...args, ...pathsOf(options)], output)));
  }
  return status;
}

async function scan({ options, files, configFile }: Call): Promise<number> {
  const dry = options.flags.has("s") ? [] : ["--dry"];
  const status = await runVolumeCommand(["scan", ...files, "-c", configFile, "--add", ...dry]);
  // Something that is missing was told; what was found is in the catalog.
  return status === EXIT.warnings ? EXIT.ok : oneOrZero(status);
}

function pathsOf({ values }: ParsedOptions): string[] {
  const file = values.get("i");
  return file === undefined ? [] : readNames(file).flatMap((name) => ["--path", name]);
}

/** Jobs that have ended on the volumes, by their number. */
async function jobsOn(files: readonly string[], bootstrap: Bootstrap | undefined): Promise<number[]> {
  const found = new Set<number>();
  const look = (line: string): undefined => {
    const id = /^End of job (\d+)\b/.exec(line)?.[1];
    if (id !== undefined) found.add(Number(id));
    return undefined;
  };
  await runVolumeCommand(["ls", "--jobs", ...files], lineByLine(look));
  const wanted = bootstrap?.jobIds ?? [];
  const ids = [...found].filter((id) => wanted.length === 0 || wanted.includes(id)).sort((a, b) => a - b);
  if (ids.length === 0) throw new BackupError("NOT_FOUND", "no job has ended on these volumes");
  return ids;
}

function printing(wanted: (line: string) => boolean): VolumeCommandOutput {
  return lineByLine((line) => (wanted(line) ? line : undefined));
}

/** Passes lines on as `change` gives them; what is complained about goes to stderr as it is. */
function lineByLine(change: (line: string) => string | undefined): VolumeCommandOutput {
  return {
    out: async (text) => {
      const lines = text.split("\n").filter((line) => line !== "");
      const changed = lines.flatMap((line) => change(line) ?? []);
      if (changed.length === 0) return;
      await new Promise<void>((resolve) => process.stdout.write(`${changed.join("\n")}\n`, () => resolve()));
    },
    err: async (text) => void process.stderr.write(text),
  };
}

function oneOrZero(status: number): number {
  return status === EXIT.ok ? EXIT.ok : EXIT.error;
}
