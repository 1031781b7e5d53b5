/** The files that Debian's packages of Bacula install, moved to a directory and to ports of a test's own. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import type { TestContext } from "node:test";
import { skipWithout } from "../../../common/test-needs.js";
import { Site } from "../bacula-names/site.js";

const ETC = "/etc/bacula";

/** What an administrator has to decide, and what a second Bacula on a machine needs; no more. */
function moved(text: string, site: Site): string {
  return text
    .replaceAll("/nonexistant/path/to/file/archive/dir", `${site.root}/volumes`)
    .replaceAll("/var/lib/bacula", `${site.root}/work`)
    .replaceAll("/var/log/bacula", `${site.root}/work`)
    .replaceAll("/run/bacula", `${site.root}/run`)
    .replace(/^( *(?:DIR|FD|SD)port *= *)910([123])/gim, (_, before: string, digit: string) => {
      return `${before}${site.portBase + Number(digit) - 1}`;
    });
}

/** A site of Debian's files; undefined where the packages are not installed and that may be. Close it when done. */
export async function debianSite(test: TestContext): Promise<Site | undefined> {
  const needed = ["bacula-dir.conf", "bacula-fd.conf", "bacula-sd.conf", "bconsole.conf"];
  let there: string[] = [];
  try {
    there = readdirSync(ETC);
  } catch {
    // Nothing of Bacula is installed.
  }
  const missing = needed.filter((name) => !there.includes(name));
  if (missing.length > 0) {
    skipWithout(`Debian's ${missing.map((name) => `${ETC}/${name}`).join(", ")}, readable`, test);
    return undefined;
  }
  const site = await Site.from(ETC, "debian", moved);
  assert.ok(site.portBase > 0);
  return site;
}
