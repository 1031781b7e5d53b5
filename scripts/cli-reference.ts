/** `basalt reference` on the command line: advice on references, and drift from them. */

import { type Command, InvalidArgumentError } from "commander";
import { BackupError, EXIT } from "../common/errors.js";
import type { Advice, Drift } from "../director/console/reference/types.js";

interface SharedOptions {
  readonly config: string;
  readonly director?: string;
  readonly vm: readonly string[];
  readonly client?: string;
  readonly json?: true;
}

interface DriftOptions extends SharedOptions {
  readonly jobid?: string;
  readonly all?: true;
  readonly top: number;
}

const CONFIG = ["-c, --config <file>", "configuration of the console (console.yaml)"] as const;
const DIRECTOR = ["-D, --director <name>", "the Director resource to use (default: the first)"] as const;
const JSON_OPTION = ["--json", "print the answer as JSON"] as const;
const EXIT_HELP = `
Exit status: 0 all compared; 3 some were left out, the answer says why; 1 none could be compared; 2 usage.`;

/** `finish` runs the command and leaves its exit status. */
export function addReference(
  program: Command,
  finish: (outcome: () => Promise<number>) => Promise<void>,
): void {
  const reference = program
    .command("reference")
    .description("reference machines: which would save most, and what machines differ in from theirs");
  reference
    .command("advise")
    .description("which Base, several, or one that could be made, would save most for each machine")
    .requiredOption(...CONFIG)
    .option(...DIRECTOR)
    .option("--vm <name>", "only this job (may be given several times; default: all)", collect, [])
    .option("--client <name>", "only the jobs of this client")
    .option(...JSON_OPTION)
    .addHelpText("after", EXIT_HELP)
    .action((options: SharedOptions) =>
      finish(async () => {
        const advice = (await ask(options, ["advise", ...named(options)])) as Advice;
        const { adviceText } = await import("../director/console/reference/print.js");
        return await tell(options, advice, () => adviceText(advice));
      }),
    );
  reference
    .command("drift")
    .description("what machines differ in from their Base: package files, unmanaged programs, updates")
    .requiredOption(...CONFIG)
    .option(...DIRECTOR)
    .option("--vm <name>", "this job (may be given several times)", collect, [])
    .option("--client <name>", "the jobs of this client")
    .option("--jobid <n>", "a job as it was in this run, instead of its newest one")
    .option("--all", "all jobs that have a Base")
    .option("--top <n>", "files and packages named of each kind", count, 10)
    .option(...JSON_OPTION)
    .addHelpText("after", EXIT_HELP)
    .action((options: DriftOptions) =>
      finish(async () => {
        const { jobid, all } = options;
        const words = [...named(options), ...(all === true ? ["all"] : [])];
        if (jobid !== undefined) words.push(`jobid=${quoted(jobid)}`);
        if (words.length === 0)
          throw new BackupError("USAGE", "say which: --vm NAME, --client NAME, --jobid N or --all");
        const found = (await ask(options, ["drift", ...words, `top=${options.top}`])) as Drift;
        const { driftText } = await import("../director/console/reference/print.js");
        return await tell(options, found, () => driftText(found));
      }),
    );
}

async function ask({ config, director }: SharedOptions, words: readonly string[]): Promise<unknown> {
  const { askDirector } = await import("../console/ask.js");
  const abort = new AbortController();
  const interrupt = (): void => abort.abort(new BackupError("INTERRUPTED", "interrupted"));
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    return await askDirector(
      { configFile: config, director, signal: abort.signal },
      `reference ${words.join(" ")}`,
    );
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}

function named({ vm, client }: SharedOptions): string[] {
  return [
    ...vm.map((name) => `job=${quoted(name)}`),
    ...(client === undefined ? [] : [`client=${quoted(client)}`]),
  ];
}

/** As the console's lines want it. */
const quoted = (name: string): string => `"${name.replace(/["\\]/g, "\\$&").replace(/[\r\n]/g, " ")}"`;

/** The whole answer is written before the process may end. */
async function tell(
  { json }: SharedOptions,
  found: { skipped: readonly unknown[] },
  text: () => string,
): Promise<number> {
  const all = json === true ? `${JSON.stringify(found, null, 2)}\n` : text();
  await new Promise<void>((resolve) => process.stdout.write(all, () => resolve()));
  return found.skipped.length > 0 ? EXIT.warnings : EXIT.ok;
}

const collect = (name: string, before: readonly string[]): string[] => [...before, name];

function count(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 10_000) return Number(text);
  throw new InvalidArgumentError("a number from 0 to 10000");
}
