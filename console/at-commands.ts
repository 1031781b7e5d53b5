/** Lines that begin with `@`: carried out by the console itself, never sent. */
import { statSync } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { describeError } from "../common/errors.js";
import { runCommand } from "../common/exec.js";
import { packageVersion } from "../common/package.js";
import { nowMs, reportTime } from "../common/time.js";
import type { Session, Turn } from "./connection.js";
import type { LineSource } from "./line-source.js";
import type { ConsoleOutput, OutputMode } from "./output.js";
import { splitWords } from "./words.js";

/** What @-commands act on. */
export interface AtContext {
  output: ConsoleOutput;
  lines: LineSource;
  /** Aborted by Ctrl-C on a terminal. */
  signal: AbortSignal;
  /** The director's session; undefined while it has a question open. */
  session: Pick<Session, "submit" | "abandon"> | undefined;
}

interface AtCommand {
  name: string;
  summary: string;
  /** True: the console shall end. */
  run(context: AtContext, words: string[], line: string): Promise<boolean | undefined>;
}

const SEPARATORS = "!$%&'()*+,-/:;<>?[]^`{|}~";

/** In Bacula's order, which decides what a shortened word means. */
const COMMANDS: readonly AtCommand[] = [
  { name: "input", summary: "input FILE: read commands from a file", run: input },
  {
    name: "output",
    summary: "output [FILE]: print to a file; without one back to the screen",
    run: redirect("output"),
  },
  { name: "quit", summary: "end", run: async () => true },
  { name: "tee", summary: "tee [FILE]: print to the screen and to a file", run: redirect("tee") },
  { name: "tall", summary: "tall [FILE]: as tee, input lines too", run: redirect("tall") },
  { name: "sleep", summary: "sleep SECONDS", run: pause },
  { name: "time", summary: "print the time", run: time },
  { name: "version", summary: "print the console's version", run: version },
  { name: "echo", summary: "echo TEXT", run: echo },
  { name: "exec", summary: 'exec "COMMAND" [SECONDS]: run a command by the shell', run: exec },
  { name: "exit", summary: "end", run: async () => true },
  { name: "#", summary: "a comment", run: async () => false },
  { name: "help", summary: "this list", run: help },
  { name: "separator", summary: "separator C: character that separates commands in a line", run: separator },
  { name: "putfile", summary: "putfile KEY FILE: send a file to the director", run: putfile },
];

/** Their names, in that order. */
export const AT_COMMANDS: readonly string[] = COMMANDS.map(({ name }) => name);

/** Carries out one line that begins with `@`; true when the console shall end. Errors are printed. */
export async function runAtCommand(context: AtContext, line: string): Promise<boolean> {
  const words = splitWords(line.trim().slice(1));
  const typed = (words[0] ?? "").toLowerCase();
  if (typed.startsWith("#")) return false;
  const command =
    COMMANDS.find(({ name }) => name === typed) ??
    COMMANDS.find(({ name }) => typed !== "" && name.startsWith(typed));
  if (command === undefined) {
    await context.output.write(`@${words[0] ?? ""}: is an invalid command\n`);
    return false;
  }
  try {
    return (await command.run(context, words.slice(1), line)) === true;
  } catch (error) {
    if (!context.signal.aborted) await context.output.write(`${describeError(error)}\n`);
    return false;
  }
}

async function input(context: AtContext, words: string[]): Promise<undefined> {
  const [file] = words;
  if (file === undefined) await context.output.write("Too few arguments: @input FILE\n");
  else context.lines.include(file);
}

function redirect(mode: OutputMode): AtCommand["run"] {
  return async (context, words) => {
    if (words.length > 1) await context.output.write(`Too many arguments: @${mode} [FILE]\n`);
    else context.output.redirect(mode, words[0]);
    return false;
  };
}

async function pause(context: AtContext, words: string[]): Promise<undefined> {
  const seconds = Number(words[0] ?? "1");
  if (!(seconds >= 0 && seconds < 2_000_000))
    await context.output.write(`@sleep: ${words[0]} is no number of seconds\n`);
  else await sleep(seconds * 1000, undefined, { signal: context.signal });
}

async function time(context: AtContext): Promise<undefined> {
  await context.output.write(`${reportTime(nowMs())}\n`);
}

async function version(context: AtContext): Promise<undefined> {
  await context.output.write(`basalt console Version: ${packageVersion()}\n`);
}

async function echo(context: AtContext, words: string[]): Promise<undefined> {
  await context.output.write(`${words.map((word) => `${word} `).join("")}\n`);
}

/** The one place with a shell: the user's own words on the user's own machine. */
async function exec(context: AtContext, words: string[]): Promise<undefined> {
  const [command, seconds] = words;
  if (command === undefined) return void (await context.output.write('Too few arguments: @exec "COMMAND"\n'));
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) env[name] = value;
  const printed: Promise<void>[] = [];
  const result = await runCommand({
    words: ["/bin/sh", "-c", command],
    env,
    timeoutMs: (Number(seconds ?? "0") || 0) * 1000,
    signal: context.signal,
    maxLineBytes: 1_048_576,
    maxLines: 1_000_000,
    onLine: (line) => void printed.push(context.output.write(`${line}\n`)),
  });
  await Promise.all(printed);
  if (result.code !== 0) {
    const how = result.signal === undefined ? `status ${result.code}` : `signal ${result.signal}`;
    await context.output.write(`@exec: the command ended with ${how}\n`);
  }
}

async function help(context: AtContext): Promise<undefined> {
  const lines = COMMANDS.map(({ name, summary }) => `  @${name.padEnd(10)} ${summary}\n`);
  await context.output.write(`The console's own commands:\n${lines.join("")}`);
}

async function separator(context: AtContext, words: string[]): Promise<undefined> {
  const [char] = words;
  if (char === undefined) context.lines.separator = undefined;
  else if (char.length === 1 && SEPARATORS.includes(char)) context.lines.separator = char;
  else await context.output.write("Illegal separator character.\n");
}

/** Bytes of a file that one line brings. */
const PART_BYTES = 192 * 1024;

/** The director asks for lines of base64 until one that is `.`; what it says in the end is printed as of any command. */
async function putfile({ output, session, signal }: AtContext, words: string[]): Promise<undefined> {
  const [key, file, ...others] = words;
  if (key === undefined || file === undefined || others.length > 0)
    return void (await output.write("Usage: @putfile KEY FILE\n"));
  if (!/^[A-Za-z0-9]{1,16}$/.test(key))
    return void (await output.write("@putfile: a key is 1 to 16 letters and digits\n"));
  if (session === undefined) return void (await output.write("@putfile: the director waits for an answer\n"));
  if (!statSync(file).isFile()) return void (await output.write(`@putfile: ${file} is no regular file\n`));
  const source = await open(file);
  let turn: Turn = "ready";
  try {
    turn = await session.submit(`.putfile key="${key}"`);
    for await (const part of source.createReadStream({ highWaterMark: PART_BYTES, autoClose: false })) {
      if (turn !== "prompt" || signal.aborted) break;
      turn = await session.submit((part as Buffer).toString("base64"));
    }
    if (turn === "prompt" && !signal.aborted) turn = await session.submit(".");
  } finally {
    await source.close();
    if (turn === "prompt") await session.abandon();
  }
}
