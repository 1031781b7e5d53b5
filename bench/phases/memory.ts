/** What the daemons need for very many files and for a very large disk; figures of time are a by-product. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REPOSITORY } from "../../test/helpers/root.js";
import { removeTree, runProgram } from "../../test/helpers/tree-ops.js";
import { basaltKind } from "../basalt.js";
import { changeImage, imageFacts, makeSparse, undoChange } from "../images.js";
import { IMAGE_NAME, type Machine } from "../peer.js";
import { measure, restoreAndCompare, type Setting, withPeers } from "../rounds.js";

interface MemorySize {
  /** Above 201,000. */
  files: number;
  imageBytes: number;
  places: number;
}

function sizeOf({ scale }: Setting): MemorySize {
  if (scale === "huge") return { files: 1_000_000, imageBytes: 1e12, places: 4000 };
  return { files: 202_000, imageBytes: 1e11, places: 1000 };
}

async function makeFiles(dir: string, files: number): Promise<Machine> {
  const tree = join(dir, `files-${files}`);
  const note = `${tree}.txt`;
  if (!existsSync(note)) {
    await removeTree(tree);
    mkdirSync(dir, { recursive: true });
    const program = join(REPOSITORY, "test/e2e/million/make-tree.py");
    await runProgram("python3", [program, tree, String(files - 201_000)]);
    writeFileSync(note, "");
  }
  return { name: "files", kind: "tree", tree };
}

function makeDisk(dir: string, { imageBytes, places }: MemorySize): Machine {
  const tree = join(dir, `disk-${imageBytes / 1e9}`);
  const file = join(tree, IMAGE_NAME);
  if (!existsSync(file)) makeSparse(file, imageBytes, places);
  undoChange(file);
  return { name: "disk", kind: "image", tree };
}

/** One repetition, Basalt alone. The tree of files is restored and compared too. */
export async function memoryPhase(setting: Setting): Promise<void> {
  const size = sizeOf(setting);
  const dir = join(setting.dir, "trees", "memory");
  const files = await makeFiles(dir, size.files);
  const disk = makeDisk(dir, size);
  const image = join(disk.tree, IMAGE_NAME);
  const [many, large] = [`${size.files.toLocaleString("en")} files`, `${size.imageBytes / 1e9} GB image`];
  setting.facts.add(`${large}: ${imageFacts(image)}, no file system`);
  await withPeers(setting, [basaltKind()], [files, disk], async ([peer]) => {
    if (!peer) return;
    const step = (name: string, action: Parameters<typeof measure>[3]) =>
      measure(setting, peer, name, action);
    await step(`${many}, first`, () => peer.backup({ level: "full", machine: files }));
    await step(`${many}, unchanged`, () => peer.backup({ level: "incremental", machine: files }));
    await step(`${many}, restore`, () => restoreAndCompare(setting, peer, files));
    await step(`${large}, first`, () => peer.backup({ level: "full", machine: disk }));
    changeImage(image, `memory ${setting.repetition}`, { places: 200, bytes: 4e6 });
    await step(`${large}, changed`, () => peer.backup({ level: "incremental", machine: disk }));
    await step(`${large}, restore`, () => restoreAndCompare(setting, peer, disk));
  });
  undoChange(image);
}
