/** Files that a console sends with `@putfile`, and restores that name them. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setClock } from "../../common/time.js";
import { dropSentFiles, SentFiles } from "./sent-files.js";
import { FakeDirector, NOON, transcript } from "./testing/fake-director.js";
import { setRights } from "./testing/open-console.js";

let dir: string;
let director: FakeDirector;
beforeEach(() => {
  setClock(() => NOON);
  dir = mkdtempSync(join(tmpdir(), "basalt-putfile-"));
  director = new FakeDirector();
  const own = { ...director.config.director, workingDirectory: dir };
  director.config = { ...director.config, director: own };
});
afterEach(() => {
  setClock();
  rmSync(dir, { recursive: true });
});

const sent = (): string[] => (existsSync(join(dir, "sent")) ? readdirSync(join(dir, "sent")) : []);
const lines = (text: string): string[] => [Buffer.from(text, "latin1").toString("base64"), "."];
const RESTORE = "restore client=vm1-fd where=/tmp/restores yes";

/** What was chosen in the restore that was run last. */
const chosen = (): string[] =>
  (director.ran.at(-1)?.restore?.selection.rules ?? [])
    .filter(({ recursive }) => recursive === true)
    .map(({ path }) => Buffer.from(path as Uint8Array).toString("latin1"));

test("a list that was sent names the files of a restore, and is gone with the session", async () => {
  const text = await transcript(director, [
    '.putfile key="k1"',
    ...lines("/srv/a\n/srv/etc/caf\xe9\n"),
    `${RESTORE} file=<k1`,
  ]);
  assert.match(text, /^OK$/m);
  assert.equal(director.ran.length, 1, text);
  assert.deepEqual(chosen(), ["/srv/a", "/srv/etc/caf\xe9"]);
  assert.deepEqual(sent(), []);
});

test("it lies in the working directory for its owner alone; a second one of the same key replaces it", async () => {
  const files = new SentFiles(() => dir);
  for (const word of ["first", "second"]) {
    const left = lines(word);
    await files.take("k", async () => left.shift()!);
  }
  const [name, ...others] = sent();
  assert.deepEqual(others, []);
  assert.match(name!, /\.k$/);
  const { mode, size } = statSync(join(dir, "sent", name!));
  assert.deepEqual([mode & 0o777, size], [0o600, 6]);
  assert.equal(files.path("k"), join(dir, "sent", name!));
  files.drop();
  assert.deepEqual([sent(), files.path("k")], [[], undefined]);
});

test("what is garbled or has no good key is refused, and nothing of it stays", async () => {
  for (const key of ["../../etc/x", "a/b", "", "aaaaaaaaaaaaaaaaa", "k-1"]) {
    const text = await transcript(director, [`.putfile key="${key}"`, "version"]);
    assert.match(text, /Invalid key name for putfile command\nERROR\nversion$/m, key);
  }
  const text = await transcript(director, [".putfile key=k", "no base64!", `${RESTORE} file=<k`, "."]);
  assert.match(text, /garbled.*\nERROR$/m);
  assert.match(text, /Cannot open file k/);
  // The console goes in the middle of a file.
  await transcript(director, [".putfile key=k", "AAAA"]);
  assert.deepEqual(sent(), []);
});

test("a console with ACLs sends when .putfile is granted, and its own list needs no right to the director's files", async () => {
  writeFileSync(join(dir, "list"), "/srv/a\n");
  const rights = { jobAcl: ["*all*"], clientAcl: ["*all*"], whereAcl: ["*all*"], storageAcl: ["*all*"] };
  const more = { poolAcl: ["*all*"], fileSetAcl: ["*all*"], catalogAcl: ["*all*"], directoryAcl: ["*all*"] };
  setRights(director, { ...rights, ...more, userIdAcl: ["*all*"], commandAcl: ["restore"] });
  const denied = await transcript(director, [".putfile key=k", "version"], "op");
  assert.match(denied, /^\.putfile: is not allowed for this console\.$/m);
  setRights(director, { ...rights, ...more, userIdAcl: ["*all*"], commandAcl: ["restore", ".putfile"] });
  const asked = [
    ".putfile key=k",
    ...lines("/srv/a\n"),
    `${RESTORE} file=<${dir}/list`,
    `${RESTORE} file=<k`,
  ];
  const text = await transcript(director, asked, "op");
  assert.match(text, /may not have the director read list files/);
  assert.equal(director.ran.length, 1, text);
  assert.deepEqual(chosen(), ["/srv/a"]);
});

test("what a director left behind that was killed goes at its next start", async () => {
  const left = lines("text");
  await new SentFiles(() => dir).take("k", async () => left.shift()!);
  assert.equal(sent().length, 1);
  dropSentFiles(dir);
  assert.deepEqual(sent(), []);
});
