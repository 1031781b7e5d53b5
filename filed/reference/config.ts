/**
 * The resource Reference of filed.yaml: a machine that Base jobs may have built here. The director only says its name;
 * what is run, from where and to which place stands here.
 */
import path from "node:path";
import type { Diagnostics } from "../../common/config/diagnostics.js";
import { absolutePath } from "../../common/config/parts.js";
import { type ResourceOf, resourceName } from "../../common/config/resources.js";
import { type BlockSpec, duration, listOf, shownName, text, words } from "../../common/config/spec.js";

/** Where the machine lies: a directory with its tree, or a disk image. */
export interface PlaceSettings {
  kind: "directory" | "image";
  /** Absolute. Beside it lie `.new`, `.old` and `.failed` ones. */
  path: string;
}

/** A program of the hook directories makes it. */
export interface CommandRecipe {
  builder: "command";
  command: string;
}

export type Recipe = CommandRecipe;
export type Builder = Recipe["builder"];

export interface ReferenceSettings {
  name: string;
  place: PlaceSettings;
  recipe: Recipe;
  /** Commands of the hook directories, run over what was built, in this order. */
  customize: readonly string[];
  /** For all of it, up to the backup. (Default: 4 hours) */
  timeLimitSec: number;
}

const DEFAULT_SEC = 4 * 3600;

const directives = {
  name: resourceName(),
  builder: words("command"),
  directory: absolutePath(),
  image: absolutePath(),
  command: text(),
  customize: listOf(text()),
  timeLimit: duration(),
};

/** What only some builders have, and whether those need it. */
const OF_BUILDER: Readonly<Record<Builder, Readonly<Record<string, "needed" | "may">>>> = {
  command: { command: "needed" },
};

/** Directives of the resource. */
export const REFERENCE_SPEC: BlockSpec<typeof directives> = { directives };

type RawReference = ResourceOf<typeof REFERENCE_SPEC>;

/** All resources of the configuration. */
export function toReferences(all: readonly RawReference[], diagnostics: Diagnostics): ReferenceSettings[] {
  const found: { raw: RawReference; settings: ReferenceSettings }[] = [];
  for (const raw of all) {
    const settings = toReference(raw, diagnostics);
    if (settings === undefined) continue;
    const clash = found.find((other) => isWithin(settings.place.path, other.settings.place.path));
    if (clash !== undefined) {
      // Each would remove the other's.
      const directive = settings.place.kind;
      const other = `${clash.settings.place.path} of ${clash.raw.place}`;
      const text = `${shownName(directive)} in ${raw.place}: ${settings.place.path} and ${other} lie in each other`;
      diagnostics.error(raw.positions.get(directive) ?? raw.at, text);
    }
    found.push({ raw, settings });
  }
  return found.map(({ settings }) => settings);
}

function toReference(raw: RawReference, diagnostics: Diagnostics): ReferenceSettings | undefined {
  const { builder, customize = [], timeLimit = DEFAULT_SEC } = raw.values;
  if (builder === undefined) {
    if (!raw.positions.has("builder")) diagnostics.error(raw.at, `${raw.place} needs the directive Builder`);
    return undefined;
  }
  checkOwn(raw, builder, diagnostics);
  const place = toPlace(raw, diagnostics);
  const recipe = toRecipe(raw, builder);
  if (place === undefined || recipe === undefined) return undefined;
  return { name: raw.name, place, recipe, customize, timeLimitSec: timeLimit };
}

function isWithin(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}

function checkOwn(raw: RawReference, builder: Builder, diagnostics: Diagnostics): void {
  for (const [property, need] of Object.entries(OF_BUILDER[builder])) {
    if (need === "needed" && !raw.positions.has(property))
      diagnostics.error(
        raw.at,
        `${raw.place} needs the directive ${shownName(property)} (Builder: ${builder})`,
      );
  }
  const foreign = Object.values(OF_BUILDER).flatMap((own) => Object.keys(own));
  for (const property of new Set(foreign)) {
    const at = raw.positions.get(property);
    if (at === undefined || property in OF_BUILDER[builder]) continue;
    const of = Object.keys(OF_BUILDER).filter((each) => property in OF_BUILDER[each as Builder]);
    const text = `${shownName(property)} in ${raw.place} is for Builder ${of.join(", ")}, not ${builder}`;
    diagnostics.error(at, text);
  }
}

function toPlace(raw: RawReference, diagnostics: Diagnostics): PlaceSettings | undefined {
  const { directory, image } = raw.values;
  const given = ["directory", "image"].filter((each) => raw.positions.has(each));
  if (given.length !== 1) {
    const found = given.length === 0 ? "has neither" : "has both";
    diagnostics.error(
      raw.at,
      `${raw.place} ${found}: give a Directory for a tree, or an Image for a disk image`,
    );
    return undefined;
  }
  const [kind, file] =
    directory === undefined ? (["image", image] as const) : (["directory", directory] as const);
  if (file === undefined) return undefined;
  const normal = path.normalize(file);
  if (path.dirname(normal) === normal) {
    diagnostics.error(raw.positions.get(kind)!, `${shownName(kind)} in ${raw.place}: not the root directory`);
    return undefined;
  }
  return { kind, path: normal };
}

function toRecipe({ values }: RawReference, builder: Builder): Recipe | undefined {
  return values.command === undefined ? undefined : { builder, command: values.command };
}
