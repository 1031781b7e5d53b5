/** The commands of docs/from-bacula.md are carried out as they stand there, one after the other, in a shell. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { debianSite } from "../e2e/defaults/debian.js";
import { portAnswers } from "../helpers/ports.js";
import { REPOSITORY } from "../helpers/root.js";
import { until } from "../helpers/running.js";
import { sameTrees } from "../helpers/scenario.js";

/** Blocks of the document that hold commands, without their indentation. */
async function blocks(): Promise<string[]> {
  const text = await readFile(join(REPOSITORY, "docs/from-bacula.md"), "utf8");
  return [...text.matchAll(/^( *)```\n([\s\S]*?)^\1```$/gm)].map(([, indent, body]) =>
    body!.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
  );
}

/** Carries out a block in a shell of its own; the processes that it leaves behind are in `pids`. */
function shell(
  text: string,
  env: NodeJS.ProcessEnv,
  pids: string,
): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const whole = `${text}\nstatus=$?\njobs -p >>'${pids}'\nexit $status\n`;
    const child = spawn("sh", ["-c", whole], { env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (data: Buffer) => {
        output += data.toString("utf8");
      });
    child.once("error", reject);
    // Not `close`: what runs on in the background holds the pipes.
    child.once("exit", (code) => setTimeout(() => resolve({ code: code ?? 137, output }), 200));
  });
}

test("an afternoon with Debian's Bacula, word by word", async (context) => {
  const site = await debianSite(context);
  if (site === undefined) return;
  const path = (name: string): string => join(site.root, name);
  const [etc, bin, pids] = [path("basalt"), path("bin"), path("pids")];
  context.after(async () => {
    const left = existsSync(pids) ? readFileSync(pids, "utf8").split("\n").filter(Boolean).map(Number) : [];
    for (const pid of left.reverse()) end(pid);
    for (const pid of left) await until(`process ${pid} has ended`, () => !isThere(pid));
    await site.close();
  });
  await mkdir(bin);
  await symlink(join(REPOSITORY, "basalt"), join(bin, "basalt"));
  await writeFile(join(bin, "systemctl"), `#!/bin/sh\necho "$@" >>'${path("systemctl")}'\n`);
  await chmod(join(bin, "systemctl"), 0o755);
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  const here = (text: string): string =>
    text
      .replaceAll("/etc/bacula/", `${site.root}/etc/`)
      .replaceAll("/etc/basalt", etc)
      .replaceAll("/var/tmp/try", path("try"));
  const carryOut = async (text: string, codes: readonly number[]): Promise<string> => {
    const { code, output } = await shell(here(text), env, pids);
    assert.ok(codes.includes(code), `${text}\nended with ${code}:\n${output}`);
    return output;
  };
  const [look, start, restore, ...others] = await blocks();
  assert.deepEqual(others, [], "a block that this test does not carry out");

  // Status 3: something of Debian's defaults is left out.
  assert.match(await carryOut(look!, [0, 3]), /notes: 0 wrong/);
  assert.ok(!existsSync(etc));
  await carryOut(look!.replace("basalt import -n", "basalt import"), [0, 3]);
  assert.match(readFileSync(join(etc, "import-report.txt"), "utf8"), /notes: 0 wrong/);
  const started = await carryOut(start!, [0]);
  assert.doesNotMatch(started, /see above/);
  assert.match(started, /-dir Version: /);
  assert.equal(
    readFileSync(path("systemctl"), "utf8"),
    "disable --now bacula-director bacula-sd bacula-fd\n",
  );
  for (const offset of [0, 1, 2])
    await until(`port ${site.portBase + offset}`, () => portAnswers(site.portBase + offset));
  const done = await carryOut(restore!, [0]);
  const ended = [...done.matchAll(/^ {2}Termination: +(.*)$/gm)].map((match) => match[1]!);
  assert.deepEqual(ended, ["Backup OK", "Restore OK"], done);
  await sameTrees("/usr/sbin", join(path("try"), "/usr/sbin"));
});

function end(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // It has ended by itself.
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
