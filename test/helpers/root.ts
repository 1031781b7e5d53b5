/** Where the checkout is, whether a test runs from build/ or from its source. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

function findRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, "package.json"))) {
    const up = dirname(dir);
    if (up === dir) throw new Error("no package.json above the tests");
    dir = up;
  }
  return dir;
}

/** The checkout's directory: it holds package.json and the launcher `basalt`. */
export const REPOSITORY = findRoot();

/** Where a helper program in test/helpers lies; build/ holds compiled files only. */
export function helperProgram(name: string): string {
  return join(REPOSITORY, "test", "helpers", name);
}
