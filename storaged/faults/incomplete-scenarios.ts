/** Backups that end early and go on: every step of keeping, of going on, and of taking the place of what was kept. */

import { POOL } from "../session/testing.js";
import type { Scenario } from "./enumerate.js";
import { at, largeContent, ModelTree, noise } from "./tree.js";

const machine = () =>
  new ModelTree()
    .file(at("etc/a"), "a")
    .file(at("etc/b"), noise(1, 700))
    .link(at("etc/c"), at("etc/b"))
    .file(at("etc/d"), noise(2, 700))
    .symlink(at("link"), "etc/a")
    .file(at("usr/e"), noise(3, 700));

/** The machine a day later, for its Incremental. */
const changedMachine = () =>
  machine().file(at("big"), largeContent(1)).file(at("etc/d"), "changed", 2000).remove(at("link"));

const kept: Scenario = {
  name: "a Full that is stopped",
  prepare: async (play) =>
    void (await play.mustBackUp(new ModelTree().file("kept", "kept"), { jobName: "other" })),
  run: async (play) => void (await play.backup(machine(), { leaves: { entries: 5, how: "stop" } })),
};

const resumed: Scenario = {
  name: "a Full that goes on after a cut, with an edit in between",
  prepare: async (play) => void (await play.backup(machine(), { leaves: { entries: 5, how: "cut" } })),
  run: async (play) => void (await play.resume(1, machine().file(at("etc/a"), "edited", 2000))),
};

const twice: Scenario = {
  name: "a Full without deduplication that is stopped twice",
  pools: [{ ...POOL, deduplicate: false }],
  prepare: async (play) => void (await play.backup(machine(), { leaves: { entries: 3, how: "stop" } })),
  run: async (play) => {
    await play.resume(1, machine(), { leaves: { entries: 6, how: "cut" } });
    await play.resume(1, machine());
  },
};

const incremental: Scenario = {
  name: "an Incremental with a large file that goes on",
  prepare: async (play) => void (await play.mustBackUp(machine())),
  run: async (play) => {
    const tree = changedMachine();
    await play.backup(tree, { level: "Incremental", leaves: { entries: 4, how: "stop" } });
    await play.resume(2, tree, { level: "Incremental" });
  },
};

/** Whatever moment the storage daemon is killed at, the next start keeps what came before the last checkpoint. */
const killed: Scenario = {
  name: "a Full with checkpoints",
  prepare: async (play) =>
    void (await play.mustBackUp(new ModelTree().file("kept", "kept"), { jobName: "other" })),
  run: async (play) => void (await play.backup(machine(), { marks: 2, filesPerFrame: 1 })),
};

const killedOver: Scenario = {
  name: "an Incremental with checkpoints and a large file, over small volumes",
  pools: [{ ...POOL, maximumVolumeBytes: 200_000 }],
  prepare: async (play) => void (await play.mustBackUp(machine())),
  run: async (play) => {
    await play.backup(changedMachine(), { level: "Incremental", marks: 3 });
  },
};

const killedAgain: Scenario = {
  name: "a Full with checkpoints that goes on with an incomplete one",
  prepare: async (play) => void (await play.backup(machine(), { leaves: { entries: 3, how: "cut" } })),
  run: async (play) => void (await play.resume(1, machine(), { marks: 2 })),
};

export const INCOMPLETE: readonly Scenario[] = [
  ...[kept, resumed, twice, incremental],
  ...[killed, killedOver, killedAgain],
];
