import assert from "node:assert/strict";
import { test } from "node:test";
import { POOL } from "../session/testing.js";
import { filesOf, wholeImage } from "./disk.js";
import { Play } from "./play.js";
import { purgeJobs } from "./retention-play.js";
import { enumerateScan, type ScanTrial } from "./scan-steps.js";
import { at, ModelTree } from "./tree.js";

const pools = [{ ...POOL, maximumVolumeJobs: 2 }];
const machine = () => new ModelTree().file(at("etc/a"), "a").file(at("b"), "b of all").symlink(at("l"), "b");
const changed = () => machine().file(at("etc/a"), "changed", 2000).file(at("own"), "own");
const shared = () => new ModelTree().file(at("x"), "stored by a job that goes, used by one that stays");

/** A Base, a Full and an Incremental on it; a ghost whose content is in use; a job that was deleted. */
async function volumes(): Promise<Record<"none" | "older", ScanTrial>> {
  const play = await new Play({ pools }).start();
  await play.mustBackUp(machine(), { level: "Base", jobName: "reference" });
  await play.mustBackUp(changed(), { base: ["reference"] });
  // As a daemon leaves it that was killed: much of it is in the write-ahead log alone.
  const { catalog, log } = wholeImage(play.disk);
  const known = play.ledger.kept();
  await play.mustBackUp(changed().file(at("new"), "new"), { level: "Incremental", base: ["reference"] });
  const ghost = await play.mustBackUp(shared(), { jobName: "ghost" });
  await play.mustBackUp(shared(), { jobName: "user" });
  const gone = await play.mustBackUp(new ModelTree().file("gone", "g"), { jobName: "gone" });
  await purgeJobs(play, [ghost, gone]);
  const trial = { volumes: filesOf(play.disk.store), ledger: play.ledger.copy(), pools };
  const ghosts = play.daemon.db.prepare("SELECT count(*) FROM job WHERE status = 'G'").pluck().get();
  assert.ok(Number(ghosts) > 0, "there is no ghost");
  await play.end();
  const files = new Map([
    ["", catalog],
    ["-wal", log],
  ]);
  assert.ok(log.length > 0, "the old catalog has no log");
  return {
    none: { ...trial, old: new Map(), known: [] },
    older: { ...trial, old: files, known },
  };
}

for (const [which, name] of [
  ["none", "a scan without a catalog"],
  ["older", "a scan that adds to an older catalog"],
] as const) {
  test(`every step: ${name}`, async (t) => {
    const { steps, images, faults, problems } = await enumerateScan((await volumes())[which]);
    t.diagnostic(`${steps} steps, ${images} crash images, ${faults} failures`);
    assert.equal(problems.length, 0, `${problems.length} problems:\n${problems.slice(0, 8).join("\n\n")}`);
    assert.ok(images > 10 && faults > 10, "nothing was tried");
  });
}
