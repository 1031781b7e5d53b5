/**
 * The resource Reference of filed.yaml: a machine that Base jobs may have built here. The director only says its name;
 * what is run, from where and to which place stands here.
 */
import path from "node:path";
import type { Diagnostics } from "../../common/config/diagnostics.js";
import { absolutePath } from "../../common/config/parts.js";
import { type ResourceOf, resourceName } from "../../common/config/resources.js";
import {
  type BlockOf,
  type BlockSpec,
  block,
  commaList,
  duration,
  integer,
  listOf,
  scalar,
  shownName,
  size,
  text,
  words,
  yesNo,
} from "../../common/config/spec.js";
import { MOUNT_SPEC, type MountSettings, toMountSettings } from "../mount/config.js";
import { accelerator, BOOT_CHECK_SPEC, kernelWords, toBootCheck, toMachine } from "./machine-config.js";
import type { Builder, PlaceSettings, Recipe, ReferenceSettings } from "./settings.js";

const DEFAULT_SEC = 4 * 3600;
const GB = 1024 ** 3;

/** What an option's value must not look like: another option. */
const plain = scalar((value) => {
  if (/^[A-Za-z0-9][\w.+:/~=*-]*$/.test(value)) return value;
  throw new Error(`"${value}" is not a name of a release, package or component`);
});

const directives = {
  name: resourceName(),
  builder: words("command", "mmdebstrap", "kickstart"),
  directory: absolutePath(),
  image: absolutePath(),
  command: text(),
  customize: listOf(text()),
  timeLimit: duration(),
  bootCheck: block(BOOT_CHECK_SPEC),
  mount: block(MOUNT_SPEC),
  suite: plain,
  variant: plain,
  mirror: listOf(text()),
  components: listOf(plain),
  packages: commaList(),
  keyring: listOf(absolutePath()),
  aptOption: listOf(text()),
  partitioned: yesNo(),
  size: size(),
  kernel: absolutePath(),
  initrd: absolutePath(),
  kickstart: absolutePath(),
  append: kernelWords,
  memory: size(),
  processors: integer(1, 64),
  accel: accelerator,
};

type Need = "needed" | "may" | "of an Image";

/** What only some builders have, and whether those need it. */
const OF_BUILDER: Readonly<Record<Builder, Readonly<Record<string, Need>>>> = {
  command: { command: "needed" },
  mmdebstrap: {
    ...{ suite: "needed", variant: "may", mirror: "may", components: "may", packages: "may" },
    ...{ keyring: "may", aptOption: "may", size: "of an Image", partitioned: "of an Image" },
  },
  kickstart: {
    ...{ kernel: "needed", initrd: "needed", kickstart: "needed", append: "may" },
    ...{ size: "may", memory: "may", processors: "may", accel: "may" },
  },
};

/** Directives of the resource. */
export const REFERENCE_SPEC: BlockSpec<typeof directives> = {
  directives,
  aliases: { Preseed: "kickstart", Package: "packages", Component: "components", Mirrors: "mirror" },
};

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
  const { builder, customize = [], timeLimit = DEFAULT_SEC, bootCheck, mount } = raw.values;
  if (builder === undefined) {
    if (!raw.positions.has("builder")) diagnostics.error(raw.at, `${raw.place} needs the directive Builder`);
    return undefined;
  }
  const place = toPlace(raw, diagnostics);
  if (place === undefined || !checkOwn(raw, builder, place, diagnostics)) return undefined;
  const recipe = toRecipe(raw, builder);
  if (recipe === undefined) return undefined;
  return {
    ...{ name: raw.name, place, recipe, customize, timeLimitSec: timeLimit },
    ...(bootCheck === undefined ? {} : { bootCheck: toBootCheck(bootCheck, place, diagnostics) }),
    ...(mount === undefined ? {} : { mount: toMount(raw, mount, diagnostics) }),
  };
}

/** Beside the machines that snapshots are mounted of, since names may be the same. */
function toMount(
  { name, place }: RawReference,
  mount: BlockOf<typeof MOUNT_SPEC>,
  diagnostics: Diagnostics,
): MountSettings {
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    const text = `${place}: with Mount a name is made of letters, digits, dots, underscores and hyphens`;
    diagnostics.error(mount.at, text);
  }
  return { ...toMountSettings(mount), directory: mount.values.directory ?? "/run/basalt/reference" };
}

function isWithin(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}

/** False when something is missing. */
function checkOwn(
  raw: RawReference,
  builder: Builder,
  { kind }: PlaceSettings,
  diagnostics: Diagnostics,
): boolean {
  const own = OF_BUILDER[builder];
  const missing = Object.keys(own).filter((each) => own[each] === "needed" && !raw.positions.has(each));
  for (const each of missing)
    diagnostics.error(raw.at, `${raw.place} needs the directive ${shownName(each)} (Builder: ${builder})`);
  const misplaced = (property: string, why: string): void => {
    const at = raw.positions.get(property);
    if (at !== undefined) diagnostics.error(at, `${shownName(property)} in ${raw.place} ${why}`);
  };
  for (const property of new Set(Object.values(OF_BUILDER).flatMap((each) => Object.keys(each)))) {
    const of = Object.keys(OF_BUILDER).filter((each) => property in OF_BUILDER[each as Builder]);
    if (!(property in own)) misplaced(property, `is for Builder ${of.join(", ")}, not ${builder}`);
    else if (own[property] === "of an Image" && kind === "directory") misplaced(property, "is for an Image");
  }
  if (kind === "directory") misplaced("mount", "is for an Image: a tree lies open");
  if (builder === "kickstart" && kind === "directory") {
    diagnostics.error(
      raw.positions.get("directory")!,
      `Directory in ${raw.place}: an installer makes an Image; Mount shows its files`,
    );
    return false;
  }
  return missing.length === 0;
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

/** Undefined when a value that it needs was wrong. */
function toRecipe({ values }: RawReference, builder: Builder): Recipe | undefined {
  const { command, suite, kernel, initrd, kickstart } = values;
  if (builder === "command") return command === undefined ? undefined : { builder, command };
  if (builder === "mmdebstrap") {
    if (suite === undefined) return undefined;
    return {
      ...{ builder, suite, variant: values.variant ?? "minbase", mirrors: values.mirror ?? [] },
      ...{ components: values.components ?? [], packages: values.packages ?? [] },
      ...{ keyrings: values.keyring ?? [], aptOptions: values.aptOption ?? [] },
      ...{ sizeBytes: values.size ?? 10 * GB, partitioned: values.partitioned ?? true },
    };
  }
  if (kernel === undefined || initrd === undefined || kickstart === undefined) return undefined;
  return {
    ...{ builder, boot: { kernel, initrd }, kickstart },
    append: values.append ?? "ks={kickstart} console=ttyS0",
    sizeBytes: values.size ?? 10 * GB,
    machine: toMachine(values, 2 * GB),
  };
}
