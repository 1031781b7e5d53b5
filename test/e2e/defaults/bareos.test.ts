/** A Bareos default tree: as it is, and imported. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ConsoleSession } from "../../helpers/console-session.js";
import { Installation } from "../../helpers/installation.js";
import { endOf, Running } from "../../helpers/program.js";
import { REPOSITORY } from "../../helpers/root.js";
import { bareosSite } from "./bareos.js";
import { backupAndRestore } from "./session.js";

const BASALT = join(REPOSITORY, "basalt");
const ROLES = ["storaged", "filed", "director"] as const;

test("a Bareos tree as it is: -t, start, backup, restore", async (context) => {
  const { root, etc, portBase, close } = await bareosSite();
  const running: Running[] = [];
  context.after(async () => {
    for (const daemon of running.reverse()) await daemon.stop();
    close();
  });
  for (const role of [...ROLES, "console"]) {
    const tried = await endOf(BASALT, [role, "-c", etc, "-t"]);
    assert.equal(tried.status, 0, tried.stdout + tried.stderr);
  }
  for (const [role, offset] of [
    ["storaged", 2],
    ["filed", 1],
    ["director", 0],
  ] as const) {
    running.push(await Running.start(BASALT, [role, "-c", etc], portBase + offset));
  }
  const pipe = async (lines: readonly string[]): Promise<string> => {
    const console = new ConsoleSession(etc);
    console.send(...lines);
    await console.waitFor(/\nquit\n/, { timeoutMs: 120_000 });
    await console.close();
    return console.output;
  };
  await backupAndRestore(pipe, "backup-bareos-fd", "/usr/sbin", join(root, "restored"));
});

test("a Bareos tree imported: the report, -t, start, backup, restore", async (context) => {
  const { root, etc, portBase, close } = await bareosSite();
  const dir = join(root, "basalt");
  const imported = await endOf(BASALT, ["import", etc, "-o", dir]);
  assert.equal(imported.status, 0, imported.stdout + imported.stderr);
  assert.match(imported.stdout, /notes: 0 wrong, 0 unsupported/);
  await mkdir(join(dir, "log"));
  const installation = Installation.open(dir, { portBase, name: "bareos" });
  context.after(async () => {
    await installation.stop();
    close();
  });
  for (const role of [...ROLES, "console"]) {
    const tried = await endOf(BASALT, [role, "-c", join(dir, `${role}.yaml`), "-t"]);
    assert.equal(tried.status, 0, tried.stdout + tried.stderr);
  }
  await installation.startAll();
  const pipe = (lines: readonly string[]): Promise<string> => installation.console([...lines]);
  await backupAndRestore(pipe, "backup-bareos-fd", "/usr/sbin", join(root, "restored"));
});
