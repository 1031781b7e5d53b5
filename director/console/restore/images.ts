/** Files that were named and lie in disk images: which images are looked into. */
import { displayPath } from "../../../common/format/path.js";
import type { InImages } from "../../job/request.js";
import { callStorage } from "../catalog.js";
import { idsOf } from "../chain.js";
import type { CommandContext } from "../context.js";
import { fromWire, resolvePath, typedName } from "../names.js";
import { MAX_RULES, TreeMarks } from "../tree-marks.js";
import { TreeView } from "../tree-view.js";
import { type Choice, type Names, viewOf } from "./choice.js";

export interface ImageChoice {
  /** The images. */
  marks: TreeMarks;
  inImages: InImages;
}

/** As many as a storage daemon opens for one restore. */
const MAX_IMAGES = 256;
const MAX_PARTITION = 255;

/**
 * With `image=` the named files lie in those images. Without, they do where the runs have disk images and none of the
 * names is that of an entry of the runs; undefined: the names are ordinary ones.
 */
export async function chooseInImages(
  context: CommandContext,
  choice: Choice,
): Promise<ImageChoice | undefined> {
  const given = context.args.values("image");
  const partition = await partitionGiven(context);
  const { names } = choice;
  if (names === undefined) {
    if (given.length === 0 && partition === 0) return undefined;
    return await context.fail("image= and partition= need the files: name them with file= or directory=.");
  }
  const paths = pathsOf(names);
  if (paths.length > MAX_RULES)
    return await context.fail(`more than ${MAX_RULES} names: restore whole directories instead`);
  const caller = await callStorage(context, choice.storage);
  // A run's own list may lack images that did not change; the list that it stands for has them all.
  const view = new TreeView(caller, idsOf(choice.jobs), false, context.signal);
  const images =
    given.length > 0
      ? await imagesNamed(context, view, given)
      : await imagesFor(context, choice, view, paths);
  if (images.length === 0) {
    if (partition === 0) return undefined;
    return await context.fail("partition= is for files in a disk image; there is none.");
  }
  if (partition > 0 && images.length > 1)
    return await context.fail("partition= needs one disk image: name it with image=.");
  await context.say(
    `The files are looked up in ${images.length === 1 ? "the disk image" : "the disk images"}:`,
  );
  for (const image of images) await context.say(`    ${displayPath(image)}`);
  const rules = images.map((path) => ({ path, include: true, recursive: false }));
  return { marks: TreeMarks.of(rules), inImages: { paths, partition } };
}

/** `file=/x/` is the directory alone, as with names of the catalog. */
function pathsOf({ files, directories }: Names): InImages["paths"] {
  const path = (typed: string) => resolvePath("/", typedName(typed));
  return [
    ...files.map((typed) => ({ path: path(typed), recursive: typed === "/" || !typed.endsWith("/") })),
    ...directories.map((typed) => ({ path: path(typed), recursive: true })),
  ];
}

async function partitionGiven(context: CommandContext): Promise<number> {
  const text = context.args.value("partition");
  if (text === undefined) return 0;
  const number = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_PARTITION) return number;
  return await context.fail(`partition="${text}": must be a number from 1 to ${MAX_PARTITION}`);
}

async function imagesNamed(context: CommandContext, view: TreeView, given: string[]): Promise<string[]> {
  const images = new Set<string>();
  for (const typed of given) {
    const path = resolvePath("/", typedName(typed));
    const node = await view.lookup(path);
    if (node?.entry?.type !== "file" || node.entry.size === 0)
      return await context.fail(`image=${typed}: the JobId(s) have no such disk image`);
    images.add(path);
  }
  return [...images];
}

async function imagesFor(
  context: CommandContext,
  choice: Choice,
  view: TreeView,
  paths: InImages["paths"],
): Promise<string[]> {
  // The disks of one machine belong together; those of several would not.
  if (new Set(choice.jobs.map(({ jobName }) => jobName)).size > 1) return [];
  const own = await viewOf(context, choice);
  const [first] = paths;
  if (first === undefined || (await own.lookup(first.path)) !== undefined) return [];
  const images: string[] = [];
  for await (const entry of view.below("/", { images: true, limit: MAX_IMAGES + 1 }))
    images.push(fromWire(entry.path));
  if (images.length > MAX_IMAGES)
    return await context.fail(`more than ${MAX_IMAGES} disk images: name the machine's with image=`);
  if (images.length === 0) return images;
  for (const { path } of paths) if ((await own.lookup(path)) !== undefined) return [];
  return images;
}
