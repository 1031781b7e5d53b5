/** Operations of backups whose every step is tried. */

import assert from "node:assert/strict";
import { POOL } from "../session/testing.js";
import type { Scenario } from "./enumerate.js";
import type { Play } from "./play.js";
import { at, largeContent, ModelTree, noise } from "./tree.js";

const machine = () =>
  new ModelTree()
    .file(at("etc/a"), "a")
    .file(at("etc/b"), "b of the machine")
    .link(at("etc/c"), at("etc/b"))
    .symlink(at("etc/link"), "a")
    .file(at("empty"), "");

const firstFull: Scenario = {
  name: "a first Full in an empty storage",
  run: async (play) => void (await play.backup(machine())),
};

const large: Scenario = {
  name: "a Full with a large file",
  prepare: async (play) => void (await play.mustBackUp(machine())),
  run: async (play) => void (await play.backup(machine().file(at("big"), largeContent(1)))),
};

const onBase: Scenario = {
  name: "a Base and a Full on it",
  prepare: async (play) => void (await play.mustBackUp(machine(), { jobName: "other" })),
  run: async (play) => {
    await play.backup(machine(), { level: "Base", jobName: "reference" });
    const tree = machine().file(at("etc/a"), "changed").file(at("own"), "own").remove(at("etc/link"));
    await play.backup(tree, { base: ["reference"] });
  },
};

const incremental: Scenario = {
  name: "an Incremental",
  prepare: async (play) => void (await play.mustBackUp(machine())),
  run: async (play) => {
    const tree = machine().file(at("etc/a"), "changed", 2000).file(at("new/file"), "new").remove(at("empty"));
    await play.backup(tree, { level: "Incremental" });
  },
};

const spanning: Scenario = {
  name: "a Full over several volumes",
  pools: [{ ...POOL, maximumVolumeBytes: 6000 }],
  prepare: async (play) => void (await play.mustBackUp(new ModelTree().file("kept", noise(1, 1000)))),
  run: async (play) => {
    const tree = new ModelTree();
    for (let i = 0; i < 4; i++) tree.file(`f${i}`, noise(i + 10, 2000));
    await play.backup(tree, { jobName: "wide", filesPerFrame: 1 });
  },
};

const noDedup: Scenario = {
  name: "a Full and an Incremental without deduplication",
  pools: [{ ...POOL, deduplicate: false, maximumVolumeJobs: 1 }],
  run: async (play) => {
    await play.backup(machine());
    await play.backup(machine().file(at("etc/a"), "changed", 2000), { level: "Incremental" });
  },
};

/** The second job begins and ends while the first holds a volume with frames in front of and behind it. */
async function interleaved(play: Play, abort: boolean): Promise<void> {
  const inner = async () => {
    const tree = new ModelTree().file("inner", "inner content");
    const reached = (moment: string) => {
      if (abort && moment === "rows") throw new Error("given up by the test");
    };
    await play.backup(tree, { jobName: "inner", reached });
  };
  let begun = false;
  await play.backup(machine(), {
    jobName: "outer",
    reached: async (moment) => {
      if (moment !== "sent" || begun) return;
      begun = true;
      await inner();
    },
  });
}

const twoJobs: Scenario = {
  name: "two jobs interleaved on one volume",
  prepare: async (play) => void (await play.mustBackUp(new ModelTree().file("kept", "kept"))),
  run: (play) => interleaved(play, false),
};

const abortedInside: Scenario = {
  name: "a job that is aborted while another one writes",
  prepare: async (play) => void (await play.mustBackUp(new ModelTree().file("kept", "kept"))),
  run: (play) => interleaved(play, true),
};

/** What a running job has sent is not known to others: it may come to nothing, as here. */
const sameContent: Scenario = {
  name: "a job that sends what another one has sent, which is aborted",
  prepare: async (play) => void (await play.mustBackUp(new ModelTree().file("kept", "kept"))),
  run: async (play) => {
    const reached = async (moment: string) => {
      if (moment !== "rows") return;
      await play.backup(machine(), { jobName: "second" });
      throw new Error("given up by the test");
    };
    await play.backup(machine(), { jobName: "first", reached });
  },
};

/** A crash then finds the end record of a job that was never committed in front of a job that was. */
const endedInside: Scenario = {
  name: "a job that commits while the end record of another one waits for its commit",
  prepare: async (play) => void (await play.mustBackUp(new ModelTree().file("kept", "kept"))),
  run: async (play) => {
    let held = false;
    play.daemon.beforeCall = (method) => {
      if (method !== "commit" || held) return undefined;
      held = true;
      return play.backup(new ModelTree().file("inner", "inner"), { jobName: "inner" }).then(() => undefined);
    };
    await play.backup(machine(), { jobName: "outer" });
  },
};

const aborted: Scenario = {
  name: "an aborted job",
  prepare: async (play) => void (await play.mustBackUp(machine())),
  run: async (play) => {
    const reached = (moment: string) => {
      if (moment === "rows") throw new Error("given up by the test");
    };
    await play.backup(machine().file("lost", "lost"), { reached });
  },
};

/** Content under a false digest must not come back in somebody else's restore. */
const lying: Scenario = {
  name: "a client that sends other bytes than it claims, and an honest one behind it",
  prepare: async (play) => void (await play.mustBackUp(new ModelTree().file("kept", "kept"))),
  run: async (play) => {
    const tree = new ModelTree().file("target", "what others will want to store");
    const { result } = await play.backup(tree, { jobName: "liar", lies: true });
    assert.equal(result.ok, false, "content was stored under a digest that is not its own");
    await play.backup(tree, { jobName: "honest" });
  },
};

const label: Scenario = {
  name: "label",
  prepare: async (play) => void (await play.mustBackUp(machine())),
  run: async (play) => {
    await play.daemon.desk.label("Named", POOL.name, "", 0).catch(() => undefined);
  },
};

export const BACKUPS: readonly Scenario[] = [
  ...[firstFull, large, onBase, incremental, spanning, noDedup],
  ...[twoJobs, abortedInside, sameContent, endedInside, aborted, lying, label],
];
