/** A long session in Bacula's console language: a script from a pipe, its transcript line by line, what it restored. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { listTree } from "../../helpers/compare.js";
import { REPOSITORY } from "../../helpers/root.js";
import { copyTree, sameTrees } from "../../helpers/scenario.js";
import { crookedTables, transcriptDifference } from "../../helpers/transcript.js";
import type { Site } from "../bacula-names/site.js";
import { sessionSite } from "./session-site.js";

const HERE = join(REPOSITORY, "test/e2e/session");

const BY_TREE = [
  ...["data", "data/empty", "data/holes", "data/plain", "data/second name", "data/with blank"],
  ...["etc", "etc/conf", "etc/sub", "etc/sub/deep"],
];

let site: Site;

before(async () => {
  site = await sessionSite("session");
  await copyTree(join(site.root, "src"), join(site.root, "first"));
});
after(() => site?.close());

test("the transcript of the session", async () => {
  const script = await readFile(join(HERE, "session.bconsole"), "utf8");
  const { status, stdout, stderr } = await site.console(site.filled(script).trimEnd().split("\n"));
  if (process.env.BASALT_KEEP)
    await writeFile(process.env.BASALT_KEEP, stdout.replaceAll(site.root, "%{root}"));
  assert.deepEqual([status, stderr], [0, ""], stdout);
  const [dirport, fdport, sdport] = [0, 1, 2].map((offset) => String(site.portBase + offset));
  const values = {
    root: site.root,
    top: site.root.split("/")[1]!,
    dirport: dirport!,
    fdport: fdport!,
    sdport: sdport!,
  };
  const expected = await readFile(join(HERE, "session.expected"), "utf8");
  assert.equal(transcriptDifference(stdout, expected, values), undefined);
  assert.deepEqual(crookedTables(stdout), []);
  assert.ok(stdout.includes("\nYou have messages.\n"));
});

test("what the session restored", async () => {
  const src = join(site.root, "src");
  const at = (name: string): string => join(site.root, name + site.root, "src");
  // The Full was restored under its JobId before anything else; later states hold what the session did by @exec.
  const names = async (dir: string): Promise<string[]> =>
    (await listTree(dir, { content: false, root: false })).map((entry) => entry.name);
  assert.deepEqual(await names(at("by-list")), ["data", "data/soft", "etc", "etc/sub", "etc/sub/deep"]);
  assert.deepEqual(await names(at("by-menu-11")), ["etc", "etc/sub", "etc/sub/deep"]);
  assert.deepEqual(await names(at("by-menu-7")), ["data", "data/plain", "etc", "etc/nothing"]);
  assert.deepEqual(await names(at("by-name")), ["data", "data/moved", "etc", "etc/conf"]);
  assert.deepEqual(await names(at("by-tree")), BY_TREE);
  await sameTrees(join(site.root, "first"), at("by-id"));
  await sameTrees(join(site.root, "second"), at("by-all"));
  await sameTrees(join(site.root, "second"), at("by-virtual"));
  await sameTrees(join(src, "data"), join(at("by-menu-5"), "data"));
  assert.ok(!existsSync(join(site.root, "none")));
  for (const name of ["conf", "nothing", "sub/deep"])
    assert.ok(existsSync(join(site.root, "moved/etc", `${name}.old`)), name);
});
