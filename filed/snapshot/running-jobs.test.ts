import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { ownProcess, processLives } from "./process-identity.js";
import { RunningJobs } from "./running-jobs.js";

test("a process is known by more than its number, and is dead as a zombie", async () => {
  const own = ownProcess();
  assert.match(own, new RegExp(`^${process.pid}\\.\\d+\\.[0-9a-f]{8}$`));
  assert.ok(processLives(own));
  assert.ok(!processLives(own.replace(/\.\d+\./, ".1.")));
  assert.ok(!processLives(own.replace(/[0-9a-f]{8}$/, "00000000")));
  for (const text of ["", "1", "../1.2.3", "self.1.2"]) assert.ok(!processLives(text), text);

  // A shell whose child has ended and that does not ask for its status.
  const script = `sleep 0 & stat=$(cat /proc/$!/stat); echo "$stat"; read wait`;
  const shell = spawn("sh", ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  const stat = String(await new Promise((resolve) => shell.stdout.once("data", resolve)));
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const identity = `${stat.split(" ")[0]}.${fields[19]}.${own.split(".")[2]}`;
  while (processLives(identity)) await new Promise((resolve) => setTimeout(resolve, 5));
  shell.stdin.end();
});

test("jobs live between begin and end, in a process that lives", () => {
  const directory = scratchDirectory("running");
  const jobs = new RunningJobs(directory);
  assert.deepEqual([jobs.lives("a"), jobs.madeSets("a")], [false, []]);
  jobs.clearDead();
  jobs.begin("a");
  jobs.begin("b");
  const set = { resource: "disks", vm: "web", set: "00ff" };
  jobs.noteSet("a", set);
  jobs.noteSet("a", { ...set, set: "11ee" });
  jobs.forgetSet("a", "11ee");
  assert.deepEqual(new RunningJobs(directory).madeSets("a"), [set]);
  writeFileSync(join(directory, "running/b/process"), "1.1.00000000");
  assert.deepEqual([jobs.lives("a"), jobs.lives("b")], [true, false]);
  jobs.clearDead();
  assert.ok(!existsSync(join(directory, "running/b")));
  jobs.end("a");
  assert.ok(!jobs.lives("a"));
  assert.throws(() => jobs.noteSet("a", set));
  for (const uuid of ["", "../a", "a/b"])
    assert.throws(() => jobs.begin(uuid), { code: "REQUEST_INVALID" }, uuid);
});
