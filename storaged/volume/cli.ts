/**
 * `basalt volume ls|verify|extract|copy|scan …`: volume files looked at without any daemon or catalog.
 * Exit: 0 all good, 1 damaged or unreadable, 2 wrong usage.
 */
import { BackupError, describeError, EXIT } from "../../common/errors.js";
import { FileStore } from "../store/file-store.js";
import { listVolume } from "./cli-list.js";
import { verifyVolume } from "./cli-verify.js";
import { VolumeReader } from "./reader.js";

const USAGE = `usage: basalt volume ls [--jobs] FILE…   label, jobs and tar members of volumes (--jobs: no members)
       basalt volume verify FILE…      check every record, frame and digest, and name what is damaged
       basalt volume extract FILE… (--to DIR | --list) [--job N] [--own] [--path PATH]… [--replace]
                                       files of the state that a job found, from volumes alone (--own: only what
                                       this job wrote itself)
       basalt volume copy FROM TO      a checked copy of one volume
       basalt volume scan FILE… -c storaged.yaml [--catalog FILE] [--add] [--quick] [--dry]
                                       makes the catalog again from volumes alone
`;

/** Where a command writes; resolves when there is room for more. */
export type Print = (text: string) => Promise<void>;

export interface VolumeCommandOutput {
  out: Print;
  err: Print;
}

const standardOutput: VolumeCommandOutput = {
  out: (text) => writeTo(process.stdout, text),
  err: (text) => writeTo(process.stderr, text),
};

/** Commands that read their own arguments, loaded when they are used. They throw USAGE for wrong ones. */
const OWN_ARGUMENTS: Readonly<
  Record<string, (args: readonly string[], output: VolumeCommandOutput) => Promise<number>>
> = {
  extract: async (args, output) => (await import("./cli-extract.js")).extractCommand(args, output),
  copy: async (args, output) => (await import("./cli-copy.js")).copyCommand(args, output),
  scan: async (args, output) => (await import("./cli-scan.js")).scanCommand(args, output),
};

/** Control characters but for line breaks, and marks that turn the direction of text. */
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Whatever a volume says comes to a terminal without what would control it, as `\ooo`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (mark) =>
    [...Buffer.from(mark, "utf8")].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join(""),
  );
}

/** The same for what is to be a single line. */
export function printableLine(text: string): string {
  return printable(text).replaceAll("\n", "\\012");
}

function guarded(output: VolumeCommandOutput): VolumeCommandOutput {
  return { out: (text) => output.out(printable(text)), err: (text) => output.err(printable(text)) };
}

/** Runs `basalt volume ARGS` and resolves to the exit status. `to` is for tests. */
export async function runVolumeCommand(
  args: readonly string[],
  to: VolumeCommandOutput = standardOutput,
): Promise<number> {
  const output = guarded(to);
  const [verb, ...rest] = args;
  if (verb === "--help" || verb === "-h" || verb === "help") {
    await output.out(USAGE);
    return EXIT.ok;
  }
  const own = Object.hasOwn(OWN_ARGUMENTS, verb ?? "") ? OWN_ARGUMENTS[verb!] : undefined;
  if (own !== undefined) return withOwnArguments(() => own(rest, output), output);
  const files = rest.filter((arg) => !arg.startsWith("--"));
  const options = rest.filter((arg) => arg.startsWith("--"));
  const known = verb === "ls" ? ["--jobs"] : [];
  const unknown = options.find((option) => !known.includes(option));
  if ((verb !== "ls" && verb !== "verify") || files.length === 0 || unknown !== undefined) {
    const wrong = unknown ?? (verb === "ls" || verb === "verify" ? undefined : verb);
    await output.err(wrong === undefined ? USAGE : `basalt volume: ${wrong} is not known\n${USAGE}`);
    return EXIT.usage;
  }
  let status: number = EXIT.ok;
  for (const path of files) {
    const good = await onVolume(path, output, (reader) =>
      verb === "ls"
        ? listVolume(reader, output.out, options.includes("--jobs"))
        : verifyVolume(reader, output.out),
    );
    if (!good) status = EXIT.error;
  }
  return status;
}

async function withOwnArguments(run: () => Promise<number>, output: VolumeCommandOutput): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    const usage = error.code === "USAGE";
    await output.err(`basalt volume: ${printableLine(describeError(error))}\n${usage ? USAGE : ""}`);
    return usage ? EXIT.usage : EXIT.error;
  }
}

async function onVolume(
  path: string,
  output: VolumeCommandOutput,
  task: (reader: VolumeReader) => Promise<boolean>,
): Promise<boolean> {
  try {
    const reader = await VolumeReader.open(new FileStore(), path);
    try {
      return await task(reader);
    } finally {
      await reader.close();
    }
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    await output.err(`basalt volume: ${printableLine(describeError(error))}\n`);
    return false;
  }
}

function writeTo(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
