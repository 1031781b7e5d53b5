import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { hostSources } from "./apt-sources.js";

function apt(files: Record<string, string>): string {
  const directory = scratchDirectory("apt");
  mkdirSync(path.join(directory, "sources.list.d"));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(directory, name), text);
  return directory;
}

test("both formats, of one release with its updates and security fixes", () => {
  const directory = apt({
    "sources.list": `# deb http://old/debian bookworm main
deb [ arch=amd64 ] http://mirror/debian bookworm main contrib # ours
deb-src http://mirror/debian bookworm main
deb http://mirror/debian bookworm-backports main
deb http://mirror/debian trixie main
`,
    "sources.list.d/debian.sources": `Types: deb deb-src
URIs: http://deb/debian
Suites: bookworm bookworm-updates
Components: main
 non-free-firmware
Signed-By: /usr/share/keyrings/debian.gpg

# security
Types: deb
URIs: http://deb/security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://off/debian
Suites: bookworm
Components: main
`,
    "sources.list.d/other.list.disabled": "deb http://disabled/debian bookworm main\n",
  });
  assert.deepEqual(hostSources("bookworm", directory), [
    "deb [arch=amd64] http://mirror/debian bookworm main contrib",
    "deb [signed-by=/usr/share/keyrings/debian.gpg] http://deb/debian bookworm main non-free-firmware",
    "deb [signed-by=/usr/share/keyrings/debian.gpg] http://deb/debian bookworm-updates main non-free-firmware",
    "deb http://deb/security bookworm-security main",
  ]);
});

test("another release than this machine's needs its mirrors named", () => {
  const directory = apt({ "sources.list": "deb http://mirror/debian bookworm main\n" });
  assert.throws(
    () => hostSources("trixie", directory),
    /no apt source in .* is for "trixie"; name them with Mirror/,
  );
  assert.throws(() => hostSources("bookworm", path.join(directory, "none")), /no apt source/);
});
