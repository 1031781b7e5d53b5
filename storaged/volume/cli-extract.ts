/** `basalt volume extract`: files from volumes alone, without daemons or a catalog. */
import { BackupError, EXIT } from "../../common/errors.js";
import { bytesOfText, displayPath, keyToPath, pathToKey } from "../../common/format/path.js";
import { EntryType, type Row } from "../../common/format/row.js";
import { FileStore } from "../store/file-store.js";
import { type Print, printableLine, type VolumeCommandOutput } from "./cli.js";
import { modeText } from "./cli-list.js";
import { Contents } from "./extract/contents.js";
import { extractTree, isWanted, missingContent } from "./extract/extract.js";
import { type ListRecord, Survey } from "./extract/survey.js";
import { layersOf, treeOf } from "./extract/tree.js";

interface ExtractArguments {
  files: string[];
  /** JobId or UUID. */
  job: string | undefined;
  keys: string[];
  to: string | undefined;
  list: boolean;
  /** What the job wrote itself, without the jobs that it lies over. */
  own: boolean;
  replace: boolean;
}

/** Jobs named when the one that was asked for is not there. */
const MAX_NAMED_JOBS = 100;
/** Files without a name stop at this many lines of metadata that was left out. */
const MAX_LEFT_LINES = 100;

/** Runs the command. 0: everything, 1: something is missing or was not written, 2: wrong usage. @throws BackupError */
export async function extractCommand(args: readonly string[], output: VolumeCommandOutput): Promise<number> {
  const wanted = parseArguments(args);
  const complain = (text: string) => output.err(`basalt volume: ${printableLine(text)}\n`);
  let damaged = false;
  const survey = await Survey.of(new FileStore(), wanted.files, async (text) => {
    damaged = true;
    await complain(text);
  });
  try {
    const job = chooseJob(survey, wanted.job);
    const { layers, missing } = wanted.own ? { layers: [job], missing: [] } : layersOf(job, survey);
    for (const uuid of missing)
      await complain(`job ${job.jobId} lies over job ${uuid}, whose list is on none of these volumes`);
    const torn = job.torn === true ? ", which ended early: all that it had stored" : "";
    await complain(`state of job ${job.jobId} ${displayPath(bytesOfText(job.job))}${torn}`);
    const good = wanted.list
      ? await listState(survey, layers, wanted.keys, output.out)
      : await extractState(survey, layers, wanted, output);
    return good && missing.length === 0 && !damaged ? EXIT.ok : EXIT.error;
  } finally {
    await survey.close();
  }
}

/** Options may stand anywhere. @throws BackupError USAGE */
function parseArguments(args: readonly string[]): ExtractArguments {
  const wanted: ExtractArguments = {
    files: [],
    job: undefined,
    keys: [],
    to: undefined,
    list: false,
    own: false,
    replace: false,
  };
  const rest = [...args];
  const value = (option: string): string => {
    const next = rest.shift();
    if (next === undefined || next === "") throw new BackupError("USAGE", `${option} needs a value`);
    return next;
  };
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--job") wanted.job = value(arg);
    else if (arg === "--to") wanted.to = value(arg);
    else if (arg === "--path") wanted.keys.push(keyOfArgument(value(arg)));
    else if (arg === "--list") wanted.list = true;
    else if (arg === "--own") wanted.own = true;
    else if (arg === "--replace") wanted.replace = true;
    else if (arg.startsWith("--")) throw new BackupError("USAGE", `${arg} is not known`);
    else wanted.files.push(arg);
  }
  if (wanted.files.length === 0) throw new BackupError("USAGE", "extract needs volume files");
  if (!wanted.list && wanted.to === undefined)
    throw new BackupError("USAGE", "extract needs --to DIR, or --list");
  return wanted;
}

/** A path as `--list` shows it, with `\ooo` for odd bytes. */
function keyOfArgument(text: string): string {
  const bytes = bytesOfText(text).replace(/\\([0-3][0-7]{2})/g, (_all, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return pathToKey(bytes);
}

/** The job with that number or UUID, else the newest. @throws BackupError NOT_FOUND */
function chooseJob(survey: Survey, wanted: string | undefined): ListRecord {
  const job = survey.job(wanted);
  if (job !== undefined) return job;
  const ids = survey.jobIds(MAX_NAMED_JOBS + 1);
  const more = ids.length > MAX_NAMED_JOBS ? ", …" : "";
  const there =
    ids.length === 0
      ? "no job has ended on these volumes"
      : `finished jobs here: ${ids.slice(0, MAX_NAMED_JOBS).join(", ")}${more}`;
  throw new BackupError(
    "NOT_FOUND",
    wanted === undefined ? there : `job ${wanted} has no end record on these volumes; ${there}`,
  );
}

async function extractState(
  survey: Survey,
  layers: ReturnType<typeof layersOf>["layers"],
  wanted: ExtractArguments,
  output: VolumeCommandOutput,
): Promise<boolean> {
  const pending: string[] = [];
  let leftOut = 0;
  const { entries, failed } = await extractTree(survey, layers, {
    keys: wanted.keys,
    directory: wanted.to!,
    replace: wanted.replace,
    failed: (row, why) => output.err(`not extracted: ${shownPath(row)}: ${why}\n`),
    left: (row, what, why) => {
      leftOut++;
      if (leftOut <= MAX_LEFT_LINES)
        pending.push(`not set: ${displayPath(what)} of ${shownPath(row)}: ${why}\n`);
    },
  });
  for (const line of pending) await output.err(line);
  if (leftOut > 0) await output.err(`metadata not set in ${leftOut} places\n`);
  await output.out(`${entries} entries extracted, ${failed} not\n`);
  if (entries + failed === 0) await output.err("basalt volume: nothing has that path\n");
  return failed === 0 && entries > 0;
}

async function listState(
  survey: Survey,
  layers: ReturnType<typeof layersOf>["layers"],
  keys: readonly string[],
  print: Print,
): Promise<boolean> {
  const contents = new Contents(survey);
  let lost = 0;
  let text = "";
  for await (const entry of treeOf(contents, layers)) {
    if (!isWanted(entry.row, keys)) continue;
    const missing = await missingContent(entry, contents);
    if (missing) lost++;
    text += entryLine(entry.row, missing);
    if (text.length < 65_536) continue;
    await print(text);
    text = "";
  }
  await print(text);
  return lost === 0;
}

const LETTERS: Readonly<Partial<Record<EntryType, string>>> = {
  [EntryType.file]: "-",
  [EntryType.directory]: "d",
  [EntryType.symlink]: "l",
  [EntryType.charDevice]: "c",
  [EntryType.blockDevice]: "b",
  [EntryType.fifo]: "p",
};

function entryLine(row: Row, missing: boolean): string {
  const time = new Date(row.mtimeSec * 1000);
  const shownTime = Number.isNaN(time.getTime()) ? "?" : time.toISOString().slice(0, 16).replace("T", " ");
  const target = row.type === EntryType.symlink ? ` -> ${displayPath(row.target)}` : "";
  const link = row.group !== undefined && row.group !== row.key ? ` link to ${shownKey(row.group)}` : "";
  const note = missing ? " (content is on none of these volumes)" : "";
  const size = String(row.size).padStart(12);
  return `${LETTERS[row.type]}${modeText(row.mode)} ${row.uid}/${row.gid} ${size} ${shownTime} ${shownPath(row)}${target}${link}${note}\n`;
}

function shownPath(row: Row): string {
  return shownKey(row.key);
}

function shownKey(key: string): string {
  return displayPath(keyToPath(key));
}
