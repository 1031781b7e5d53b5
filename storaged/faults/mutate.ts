/**
 * Runs the mutations (all, or those whose name holds one of the arguments) and prints a line for each: the test that
 * failed, or that none did, which is an error. `node build/storaged/faults/mutate.js [WORDS…]`; takes minutes.
 */

import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { packageRoot } from "../../common/package.js";
import { MUTATIONS, type Mutation } from "./mutations.js";

const LEFT_OUT = new Set(["node_modules", "build", ".git"]);

function copyOfTree(): string {
  const directory = mkdtempSync(join(tmpdir(), "basalt-mutate-"));
  const root = packageRoot();
  cpSync(root, directory, {
    recursive: true,
    filter: (path) => path === root || !LEFT_OUT.has(basename(path)),
  });
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  return directory;
}

/** Words for what came of it; undefined when no test noticed. */
function attempt(directory: string, { file, from, to, test, pattern }: Mutation): string | undefined {
  const path = join(directory, file);
  const source = readFileSync(path, "utf8");
  if (source.split(from).length !== 2) throw new Error(`${file} does not hold this exactly once:\n${from}`);
  writeFileSync(
    path,
    source.replace(from, () => to),
  );
  try {
    // What is unused now does not matter: the compiler writes its output all the same.
    spawnSync("npx", ["tsc", "-p", "tsconfig.json"], { cwd: directory, stdio: "ignore" });
    const args = ["--test", "--test-reporter=tap", `--test-name-pattern=${pattern}`, join("build", test)];
    // One problem is enough.
    const env = { ...process.env, BASALT_FIRST: "1", BASALT_STEPS: "1000", BASALT_SEED: "1" };
    const { status, stdout } = spawnSync("node", args, { cwd: directory, env, encoding: "utf8" });
    if (status === 0) return undefined;
    return /^not ok \d+ - (.*)$/m.exec(stdout)?.[1] ?? `exit status ${status}`;
  } finally {
    writeFileSync(path, source);
  }
}

function main(words: readonly string[]): number {
  const directory = copyOfTree();
  let survived = 0;
  try {
    for (const mutation of MUTATIONS) {
      if (words.length > 0 && !words.some((word) => mutation.name.includes(word))) continue;
      const failed = attempt(directory, mutation);
      if (failed === undefined) survived++;
      process.stdout.write(`| ${mutation.name} | ${failed ?? "NO TEST FAILED"} |\n`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return survived === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
