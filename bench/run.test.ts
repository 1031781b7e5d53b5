import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { REPOSITORY } from "../test/helpers/root.js";
import { runProgram } from "../test/helpers/tree-ops.js";

test("a tool that does not exist is refused", async () => {
  const program = join(REPOSITORY, "build/bench/run.js");
  await assert.rejects(
    runProgram(process.execPath, [program, "--repeat", "0", "--only", "basalt,resitc"]),
    /--only is one of .*, not resitc/,
  );
});
