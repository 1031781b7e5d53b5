import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { endOf } from "../test/helpers/program.js";
import { REPOSITORY } from "../test/helpers/root.js";

const run = (program: string, ...args: string[]) =>
  endOf(process.execPath, [join(REPOSITORY, "build/bench", program), ...args]);

test("--help lists the options, and nothing is measured", async () => {
  for (const program of ["run.js", "catalog/run.js"]) {
    const { status, stdout, stderr } = await run(program, "--help");
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /^Usage: bench[\s\S]*--json <file>/);
  }
});

test("what is wrong is told in words, with status 2", async () => {
  for (const [args, words] of [
    [["--only", "basalt,resitc"], /'basalt,resitc' is invalid\. known are: .*restic/],
    [["--phase", "constructor"], /'constructor' is invalid\. known are: trees, /],
    [["--scale", "toString"], /'toString' is invalid\. known are: small, full, huge$/m],
    [["--repeat", "often"], /'often' is invalid\. a whole number is wanted/],
    [["--wrong"], /unknown option '--wrong'/],
    [["more"], /too many arguments/],
  ] as const) {
    const { status, stderr } = await run("run.js", "--repeat", "0", ...args);
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
    assert.doesNotMatch(stderr, /^ +at /m);
  }
});
