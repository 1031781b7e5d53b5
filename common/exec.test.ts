import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { describeFailure, type RunOptions, runCommand } from "./exec.js";
import { scratchDirectory } from "./scratch-directory.js";

const env = { PATH: "/usr/bin:/bin" };

async function shell(script: string, options: Partial<RunOptions> = {}) {
  const lines: string[] = [];
  const words = ["sh", "-c", script];
  const onLine = (line: string): void => void lines.push(line);
  const result = await runCommand({ words, env, timeoutMs: 60_000, onLine, ...options });
  return { lines, ...result };
}

test("exit status and lines of both outputs, the last one without newline", async () => {
  const run = await shell("echo one; echo two >&2; printf three; exit 7");
  assert.deepEqual(run.lines.sort(), ["one", "three", "two"]);
  assert.equal(run.code, 7);
  assert.equal(describeFailure(run, 0), "Child exited with code 7");
});

test("nothing of the environment is inherited, stdin is empty", async () => {
  const run = await shell("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD=; cat; pwd", { cwd: "/" });
  assert.deepEqual(run.lines, ["PATH=/usr/bin:/bin", "/"]);
  assert.equal(describeFailure(run, 0), undefined);
});

test("what is to be read from stdin; a command that does not read it all is no error", async () => {
  const run = await shell("cat; echo", { input: "line\nend" });
  assert.deepEqual(run.lines, ["line", "end"]);
  const head = await shell("head -c 1 >/dev/null", { input: "x".repeat(1_000_000) });
  assert.equal(head.code, 0);
});

test("a time limit ends the whole group, also what ignores SIGTERM", async () => {
  const file = join(scratchDirectory("exec"), "pid");
  const script = `trap '' TERM; sh -c 'trap "" TERM; echo $$ > ${file}; while :; do sleep 0.01; done' & wait`;
  const run = await shell(script, { timeoutMs: 200, graceMs: 50 });
  assert.equal(run.timedOut, true);
  assert.match(describeFailure(run, 200)!, /was killed/);
  const pid = Number(readFileSync(file, "utf8"));
  while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
});

/** A killed process without a parent that asks for its status stays a zombie: that counts as ended. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("an abort ends it", async () => {
  const controller = new AbortController();
  const onLine = (): void => controller.abort();
  const run = await shell("echo ready; sleep 60", { signal: controller.signal, onLine });
  assert.equal(run.aborted, true);
  assert.equal(run.signal, "SIGTERM");
  const late = await shell("echo never", { signal: controller.signal });
  assert.equal(late.aborted, true);
  assert.deepEqual(late.lines, []);
});

test("what it leaves behind lives on, and is not waited for", async () => {
  const run = await shell("sleep 300 & echo $!");
  assert.equal(run.code, 0);
  const pid = Number(run.lines[0]);
  process.kill(pid, 0);
  process.kill(pid, "SIGKILL");
});

test("long lines are cut, too many are counted", async () => {
  const run = await shell("printf '%050d\\n' 1; echo a; echo b; echo c", { maxLineBytes: 10, maxLines: 2 });
  assert.deepEqual(run.lines, ["0000000000…", "a", "(more than 2 lines: the rest is left out)"]);
});

test("a program that cannot be started", async () => {
  const file = join(scratchDirectory("exec"), "no-interpreter");
  writeFileSync(file, "#!/no/such/shell\n", { mode: 0o755 });
  for (const word of ["/no/such/program", file, ""]) {
    await assert.rejects(runCommand({ words: [word], env, timeoutMs: 0 }), { code: "EXEC_FAILED" });
  }
});
