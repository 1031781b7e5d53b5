/** The installation of the long session and of the examples in the documentation: started, with a tree to back up. */
import assert from "node:assert/strict";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { REPOSITORY } from "../../helpers/root.js";
import { Site } from "../bacula-names/site.js";
import { makeSessionTree } from "./tree.js";

/** Close it when done; `name` is part of its directory. */
export async function sessionSite(name: string): Promise<Site> {
  const originals = join(REPOSITORY, "test/e2e/session/etc");
  // Within a day, and not while the session runs.
  const later = new Date(Date.now() + 12 * 3_600_000);
  const clock = [later.getHours(), later.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
  const site = await Site.from(originals, name, (text, made) =>
    made.filled(text.replaceAll("@LATER@", clock)),
  );
  await mkdir(join(site.root, "away"));
  await writeFile(join(site.root, "etc/file-list"), `${site.root}/src\n`);
  await cp(join(originals, "query.sql"), join(site.root, "etc/query.sql"));
  await makeSessionTree(join(site.root, "src"));
  for (const letter of ["sd", "fd", "dir"] as const) {
    const started = await site.daemon(letter);
    assert.equal(started.status, 0, started.stderr);
  }
  return site;
}
