/** What is done with every set of defaults: the job that they come with, and a restore of all that it saved. */
import assert from "node:assert/strict";
import { sameTrees } from "../../helpers/scenario.js";

/** A console into which lines are piped. Gives what it prints. */
export type Pipe = (lines: readonly string[]) => Promise<string>;

/** Runs a Full of `job`, restores it to `where` and compares with the tree that the FileSet names. */
export async function backupAndRestore(
  pipe: Pipe,
  job: string,
  tree: string,
  where: string,
  words = "",
): Promise<void> {
  const text = await pipe([
    `run job=${job} level=Full yes`,
    "wait",
    "messages",
    `restore where=${where} ${words} select all done`,
    "yes",
    "wait",
    "messages",
    "quit",
  ]);
  const ended = [...text.matchAll(/^ {2}Termination: +(.*)$/gm)].map((match) => match[1]!);
  assert.deepEqual(ended, ["Backup OK", "Restore OK"], text);
  await sameTrees(tree, where + tree);
}
