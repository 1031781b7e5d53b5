/** A long session in Bacula's console language: a script from a pipe, its transcript line by line, what it restored. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { listTree } from "../../helpers/compare.js";
import { REPOSITORY } from "../../helpers/root.js";
import { sameTrees } from "../../helpers/scenario.js";
import { crookedTables, transcriptDifference } from "../../helpers/transcript.js";
import { Site } from "../bacula-names/site.js";
import { makeSessionTree } from "./tree.js";

const HERE = join(REPOSITORY, "test/e2e/session");

let site: Site;
let transcript = "";

before(async () => {
  // Within a day, and not while the session runs.
  const later = new Date(Date.now() + 12 * 3_600_000);
  const clock = [later.getHours(), later.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
  site = await Site.from(join(HERE, "etc"), "session", (text, made) =>
    made.filled(text.replaceAll("@LATER@", clock)),
  );
  await mkdir(join(site.root, "away"));
  await writeFile(join(site.root, "etc/file-list"), `${site.root}/src\n`);
  await writeFile(join(site.root, "etc/query.sql"), await readFile(join(HERE, "etc/query.sql")));
  await makeSessionTree(join(site.root, "src"));
  for (const letter of ["sd", "fd", "dir"] as const) {
    const started = await site.daemon(letter);
    assert.equal(started.status, 0, started.stderr);
  }
});
after(() => site?.close());

test("the transcript of the session", async () => {
  const script = await readFile(join(HERE, "session.bconsole"), "utf8");
  const { status, stdout, stderr } = await site.console(site.filled(script).trimEnd().split("\n"));
  transcript = stdout;
  if (process.env.BASALT_KEEP) await writeFile(process.env.BASALT_KEEP, stdout.replaceAll(site.root, "%{root}"));
  assert.deepEqual([status, stderr], [0, ""], stdout);
  const values = { root: site.root, fdport: String(site.portBase + 1), sdport: String(site.portBase + 2) };
  const expected = await readFile(join(HERE, "session.expected"), "utf8");
  assert.equal(transcriptDifference(stdout, expected, values), undefined);
  assert.deepEqual(crookedTables(stdout), []);
});
