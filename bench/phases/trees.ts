/** The reference and its virtual machines: first backups, a night's changes, nothing at all, a restore. */
import { join } from "node:path";
import type { Cost, Machine, Peer } from "../peer.js";
import { measureEach, restoreAndCompare, type Setting, withPeers } from "../rounds.js";
import { describeFacts, TreeList } from "../tree-facts.js";
import { editBenchMachine, makeBenchTrees, nextNight } from "../trees.js";

type Step = (
  machine: Machine,
  step: string,
  action: (peer: Peer) => Promise<Cost | undefined>,
) => Promise<void>;

/** One repetition for all tools. */
export async function treesPhase(setting: Setting): Promise<void> {
  const { machines, how } = await makeBenchTrees(join(setting.dir, "trees"), setting.scale);
  setting.facts.add(`trees: ${how}`);
  const [reference, ...vms] = machines;
  if (!reference) throw new Error("there is no reference tree");
  const lists = await listAll(setting, reference, vms);
  const kinds = setting.kinds.filter(({ only }) => only !== "image");
  await withPeers(setting, kinds, machines, async (peers) => {
    const each: Step = (machine, step, action) => measureEach(setting, peers, machine, step, action);
    await each(reference, "reference, first", (peer) => peer.backup({ level: "base", machine: reference }));
    for (const machine of vms)
      await each(machine, `VM Full on Base, ${machine.name}`, (peer) =>
        peer.backup({ level: "full", machine }),
      );
    await night(setting, vms, lists);
    for (const machine of vms)
      await each(machine, `VM Incremental, ${machine.name}`, (peer) =>
        peer.backup({ level: "incremental", machine }),
      );
    const [vm] = vms;
    if (!vm) return;
    await each(vm, "unchanged VM", (peer) => peer.backup({ level: "incremental", machine: vm }));
    await each(vm, "restore of one VM", (peer) => restoreAndCompare(setting, peer, vm));
  });
}

/** Says in the first repetition what the trees hold. */
async function listAll(setting: Setting, reference: Machine, vms: Machine[]): Promise<Map<string, TreeList>> {
  const lists = new Map<string, TreeList>();
  if (setting.repetition > 0) return lists;
  const first = await TreeList.of(reference.tree);
  setting.facts.add(`reference: ${describeFacts(first)}`);
  for (const { name, tree } of vms) {
    const list = await TreeList.of(tree);
    lists.set(name, list);
    const own = describeFacts(list.notIn(first), "files");
    setting.facts.add(`${name}: ${describeFacts(list)}; not in the reference: ${own}`);
  }
  return lists;
}

async function night(setting: Setting, vms: Machine[], lists: Map<string, TreeList>): Promise<void> {
  const number = nextNight(setting.dir, setting.scale);
  for (const machine of vms) {
    editBenchMachine(machine, number, setting.scale);
    const before = lists.get(machine.name);
    if (before === undefined) continue;
    const changed = (await TreeList.of(machine.tree)).changedSince(before);
    setting.facts.add(`a night on ${machine.name}: ${describeFacts(changed, "files changed")}`);
  }
}
