/** Every command of the console has an example in docs/console-examples.md, and prints what stands there. */
import assert from "node:assert/strict";
import { appendFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { AT_COMMANDS } from "../../console/at-commands.js";
import { COMMANDS, DOT_COMMANDS } from "../../director/console/commands.js";
import type { Site } from "../e2e/bacula-names/site.js";
import { sessionSite } from "../e2e/session/session-site.js";
import { consoleExamples, type Example, maskedPrint } from "../helpers/console-examples.js";
import { REPOSITORY } from "../helpers/root.js";

const DOCUMENT = join(REPOSITORY, "docs/console-examples.md");
/** What stands in the document for the directory of the test's installation. */
const SHOWN_ROOT = "/srv/demo";

test("every command has an example", async () => {
  const typed = consoleExamples(await readFile(DOCUMENT, "utf8")).flatMap((example) => example.typed);
  const shown = new Set(typed.map((line) => line.split(" ")[0]));
  const names = [
    ...COMMANDS.filter(({ summary }) => !summary.endsWith("(not available)")).map(({ name }) => name),
    ...DOT_COMMANDS.map(({ name }) => name),
    ...AT_COMMANDS.map((name) => `@${name}`),
  ];
  assert.deepEqual(
    names.filter((name) => !shown.has(name)),
    [],
  );
});

test("the examples print what they show", async (context) => {
  const site = await sessionSite("docs");
  context.after(() => site.close());
  const examples = consoleExamples(await readFile(DOCUMENT, "utf8"));
  while (examples.length > 0) {
    const last = examples.findIndex(({ typed }) => ENDS.test(typed.at(-1) ?? ""));
    await oneSession(site, examples.splice(0, last < 0 ? examples.length : last + 1));
  }
});

const ENDS = /^[.@]?(?:quit|exit)$/;

async function oneSession(site: Site, examples: readonly Example[]): Promise<void> {
  const lines = examples.flatMap((example) => example.typed);
  const { status, stdout, stderr } = await site.console(
    lines.map((line) => line.replaceAll(SHOWN_ROOT, site.root)),
  );
  assert.deepEqual([status, stderr], [0, ""], stdout);
  // Without the greeting.
  const shown = stdout.replaceAll(site.root, SHOWN_ROOT).replace(/^(?:.*\n){3}/, "");
  if (process.env.BASALT_KEEP) await appendFile(process.env.BASALT_KEEP, shown);
  let rest = maskedPrint(shown);
  for (const { at, printed } of examples) {
    const wanted = maskedPrint(printed);
    assert.equal(rest.slice(0, wanted.length), wanted, `docs/console-examples.md:${at}`);
    rest = rest.slice(wanted.length);
  }
  assert.equal(rest, "");
}
