import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "../../common/package.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import type { Hook__Output } from "../../proto/generated/basalt/v1/Hook.js";
import { type HookOptions, runAfterHooks, runBeforeHooks } from "./hooks.js";
import { resolveProgram } from "./program.js";

function hookDirectory(): string {
  const directory = scratchDirectory("hooks");
  script(directory, "say", 'echo "said: $*"; env | grep ^BASALT_ | sort');
  script(directory, "fail", "echo oops >&2; exit 3");
  return directory;
}

function script(directory: string, name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return file;
}

function hook(command: string, more: Partial<Hook__Output> = {}): Hook__Output {
  const flags = { before: true, onSuccess: true, onFailure: false, failJobOnError: true };
  return { command, origin: "ClientRunBeforeJob", timeoutSec: 0, ...flags, ...more };
}

function options(directory: string, hooks: Hook__Output[]): HookOptions & { said: string[] } {
  const said: string[] = [];
  const job = {
    jobId: 7,
    jobUuid: "u-7",
    jobName: "vm",
    job: "vm.1",
    type: "Backup",
    level: "Full",
    client: "c-fd",
    director: "d-dir",
    configFile: "/etc/basalt/filed.yaml",
  };
  const report = (type: string, text: string): void => void said.push(`${type}: ${text}`);
  return { hooks, directories: [directory], timeoutSec: 60, job, report, said };
}

const never = new AbortController().signal;

test("output and command become messages, the environment is clean", async () => {
  const directory = hookDirectory();
  const run = options(directory, [hook(`${directory}/say 'a  b' c`)]);
  await runBeforeHooks(run, never);
  assert.deepEqual(run.said, [
    `info: shell command: run ClientRunBeforeJob "${directory}/say 'a  b' c"`,
    "info: ClientRunBeforeJob: said: a  b c",
    "info: ClientRunBeforeJob: BASALT_CLIENT=c-fd",
    "info: ClientRunBeforeJob: BASALT_DIRECTOR=d-dir",
    "info: ClientRunBeforeJob: BASALT_FILED_CONFIG=/etc/basalt/filed.yaml",
    "info: ClientRunBeforeJob: BASALT_JOB=vm.1",
    "info: ClientRunBeforeJob: BASALT_JOB_ID=7",
    "info: ClientRunBeforeJob: BASALT_JOB_LEVEL=Full",
    "info: ClientRunBeforeJob: BASALT_JOB_NAME=vm",
    "info: ClientRunBeforeJob: BASALT_JOB_TYPE=Backup",
    "info: ClientRunBeforeJob: BASALT_JOB_UUID=u-7",
    `info: ClientRunBeforeJob: BASALT_PROGRAM=${packageRoot()}/basalt`,
  ]);
});

test("a failing Before hook ends the job when it counts, in Bacula's words", async () => {
  const directory = hookDirectory();
  const run = options(directory, [hook("fail", { failJobOnError: false }), hook("fail"), hook("say")]);
  await assert.rejects(runBeforeHooks(run, never), { code: "HOOK_FAILED" });
  const error =
    "error: Runscript: ClientRunBeforeJob returned non-zero status=3. ERR=Child exited with code 3";
  assert.deepEqual(run.said, [
    'info: shell command: run ClientRunBeforeJob "fail"',
    "info: ClientRunBeforeJob: oops",
    error,
    'info: shell command: run ClientRunBeforeJob "fail"',
    "info: ClientRunBeforeJob: oops",
    error,
  ]);
});

test("After hooks run by their flags; a failing one does not stop the next", async () => {
  const directory = hookDirectory();
  script(directory, "end", 'echo "$1 $BASALT_JOB_OUTCOME"');
  const hooks = [
    hook("end success", { before: false }),
    hook("fail", { before: false, onFailure: true }),
    hook("end failure", { before: false, onSuccess: false, onFailure: true }),
    hook("end both", { before: false, onFailure: true }),
  ];
  for (const [outcome, names] of [
    ["ok", ["success ok", "oops", "both ok"]],
    ["failed", ["oops", "failure failed", "both failed"]],
    ["canceled", ["oops", "failure canceled", "both canceled"]],
  ] as const) {
    const run = options(directory, hooks);
    await runAfterHooks(run, outcome);
    const lines = run.said.filter((line) => line.startsWith("info: ClientRunAfterJob: "));
    assert.deepEqual(
      lines,
      names.map((name) => `info: ClientRunAfterJob: ${name}`),
    );
  }
});

test("a cancel ends a Before hook", async () => {
  const directory = hookDirectory();
  const controller = new AbortController();
  script(directory, "wait", "echo ready; sleep 60");
  const run = options(directory, [hook("wait")]);
  const reason = new Error("canceled");
  run.report = (_, text) => {
    if (text.endsWith("ready")) controller.abort(reason);
  };
  await assert.rejects(runBeforeHooks(run, controller.signal), reason);
});

test("only programs in the configured directories, which nobody else can write", () => {
  const directory = hookDirectory();
  const outside = script(scratchDirectory("outside"), "evil", "true");
  const refuse = (word: string, text: RegExp, directories = [directory]): void =>
    assert.throws(() => resolveProgram(word, directories), { code: "HOOK_FORBIDDEN", message: text });
  assert.equal(resolveProgram("say", [directory]), join(directory, "say"));
  assert.equal(resolveProgram(join(directory, "say"), [directory]), join(directory, "say"));
  refuse("say", /names no HookDirectories/, []);
  refuse("/bin/sh", /lies outside/);
  refuse(outside, /lies outside/);
  refuse(`${directory}/../${outside.slice(tmpdir().length)}`, /lies outside/);
  refuse("../say", /absolute path/);
  refuse("nothing", /no such program/);
  refuse(`${directory}-not/say`, /no such program/);
  symlinkSync(outside, join(directory, "link"));
  refuse("link", /lies outside/);
  writeFileSync(join(directory, "data"), "", { mode: 0o644 });
  refuse("data", /not executable/);
  mkdirSync(join(directory, "sub"));
  refuse("sub", /no regular file/);
  script(join(directory, "sub"), "inner", "true");
  assert.equal(resolveProgram(join(directory, "sub/inner"), [directory]), join(directory, "sub/inner"));
  chmodSync(join(directory, "sub"), 0o777);
  refuse(join(directory, "sub/inner"), /sub may be written by/);
  chmodSync(join(directory, "fail"), 0o775);
  refuse("fail", /fail may be written by/);
  if (process.geteuid?.() === 0) {
    chownSync(join(directory, "say"), 12345, 0);
    refuse("say", /belongs to uid 12345/);
  }
});
