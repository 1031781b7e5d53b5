/** Files and directories that were named instead of marked in the tree. */
import { BackupError, describeError } from "../../../common/errors.js";
import { displayPath } from "../../../common/format/path.js";
import type { CommandContext } from "../context.js";
import { resolvePath, typedName } from "../names.js";
import { MAX_RULES, type MarkRule } from "../tree-marks.js";
import { type Choice, type Names, viewOf } from "./choice.js";
import { readGivenFile } from "./given-file.js";

/** More than as many names as can be restored one by one. */
const MAX_LIST_BYTES = 64 * 1024 * 1024;

/**
 * Adds what was typed: a path, or `<FILE` for a list of paths, one a line, that the console has sent under this key, or that
 * lies on the director's machine.
 * @throws BackupError NOT_ALLOWED, LIST_UNREADABLE
 */
export async function addNames(context: CommandContext, into: string[], typed: string): Promise<void> {
  if (!typed.startsWith("<")) {
    into.push(typed);
    return;
  }
  const file = typed.slice(1).trim();
  const sent = context.state.sent?.path(file);
  if (sent === undefined && !context.acl.unrestricted) {
    throw new BackupError("NOT_ALLOWED", "this console may not have the director read list files");
  }
  let lines: string[];
  try {
    // latin1 keeps every byte; octal escapes keep them through typedName.
    lines = (await readGivenFile(sent ?? file, MAX_LIST_BYTES)).toString("latin1").split(/\r?\n/);
  } catch (cause) {
    throw new BackupError("LIST_UNREADABLE", `Cannot open file ${file}: ${describeError(cause)}`, { cause });
  }
  for (const line of lines) {
    if (line.trim() !== "")
      into.push(line.replace(/[\x80-\xff]/g, (byte) => `\\${byte.charCodeAt(0).toString(8)}`));
  }
}

/**
 * Rules for names: `file=/x` is the entry and all below it, `file=/x/` the directory entry alone, `directory=`
 * always with all below. A name that is not there is told of and left out.
 */
export async function rulesForNames(
  context: CommandContext,
  choice: Choice,
  names: Names,
): Promise<MarkRule[]> {
  if (names.files.length + names.directories.length > MAX_RULES) {
    throw new BackupError("USAGE", `more than ${MAX_RULES} names: restore whole directories instead`);
  }
  const view = await viewOf(context, choice);
  const rules: MarkRule[] = [];
  const missing: string[] = [];
  const add = async (typed: string, recursive: boolean) => {
    const path = resolvePath("/", typedName(typed));
    const node = await view.lookup(path);
    if (node === undefined) missing.push(displayPath(path));
    else rules.push({ path, include: true, recursive });
  };
  for (const typed of names.files) await add(typed, typed === "/" || !typed.endsWith("/"));
  for (const typed of names.directories) await add(typed, true);
  for (const path of missing) await context.say(`No database record found for: ${path}`);
  return rules;
}
