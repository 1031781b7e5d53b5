/** The image of a disk: first backup, again after changes in many places, restore. */
import { join } from "node:path";
import { changeImage, imageFacts, undoChange } from "../images.js";
import { IMAGE_NAME, type Peer } from "../peer.js";
import { measureEach, restoreAndCompare, type Setting, withPeers } from "../rounds.js";
import { imageChange, makeBenchImage, makeBenchTrees } from "../trees.js";

/** One repetition for all tools, each with an empty store of its own. */
export async function imagePhase(setting: Setting): Promise<void> {
  const { dir, scale, repetition } = setting;
  await makeBenchTrees(join(dir, "trees"), scale);
  const machine = await makeBenchImage(join(dir, "trees"), scale);
  const file = join(machine.tree, IMAGE_NAME);
  undoChange(file);
  setting.facts.add(`image: ${imageFacts(file)}, ext4 made from the reference`);
  const kinds = setting.kinds.filter(({ only }) => only !== "tree");
  await withPeers(setting, kinds, [machine], async (peers) => {
    const each = (step: string, action: (peer: Peer) => ReturnType<Peer["backup"]>): Promise<void> =>
      measureEach(setting, peers, machine, step, action);
    await each("image, first", (peer) => peer.backup({ level: "full", machine }));
    const { places, bytes } = changeImage(file, `image ${repetition}`, imageChange(scale));
    setting.facts.add(`image changed: ${(bytes / 1e6).toFixed(1)} MB in ${places} places`);
    await each("image, changed", (peer) => peer.backup({ level: "incremental", machine }));
    await each("image restore", (peer) => restoreAndCompare(setting, peer, machine));
  });
  undoChange(file);
}
