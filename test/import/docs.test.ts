/** The tables of docs/from-bacula.md say what an import does. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import type { Outcome } from "../../common/bacula/map/types.js";
import { packageRoot } from "../../common/package.js";
import { importLoaders } from "../../scripts/cli-import.js";
import { findingsOf } from "./directive-outcome.js";

const directory = mkdtempSync(path.join(tmpdir(), "basalt-import-docs-"));
after(() => rmSync(directory, { recursive: true }));

const WORDS: Readonly<Record<Outcome, string>> = {
  differs: "differs",
  replaced: "replaced",
  "without effect": "no effect",
  unsupported: "not supported",
  wrong: "wrong",
};

test("every directive in the tables becomes what they say", async () => {
  const { builds } = await importLoaders();
  const text = readFileSync(path.join(packageRoot(), "docs/from-bacula.md"), "utf8");
  const wrong: string[] = [];
  let section = "";
  let rows = 0;
  for (const each of text.slice(text.indexOf("\n## Directives")).split("\n")) {
    section = /^### (.*)$/.exec(each)?.[1] ?? section;
    const [, line, becomes, note] =
      /^\| `(.*)` \| (.*?) \| (.*?) ?\|$/.exec(each.replaceAll("\\|", "\u0000")) ?? [];
    if (line === undefined) continue;
    rows += 1;
    const [first] = findingsOf(directory, builds, { section, line: line.replaceAll("\u0000", "|") });
    const now = first === undefined ? "carried over" : WORDS[first.outcome];
    const said = first?.text ?? "";
    if (now !== becomes || said !== note) wrong.push(`${section}: ${line}: ${now}: ${said}`);
  }
  assert.deepEqual(wrong, []);
  assert.ok(rows > 350, `${rows} rows`);
});
