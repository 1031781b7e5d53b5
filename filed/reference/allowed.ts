/** What a director may have built here, and which FileSets fit it. */
import path from "node:path";
import { BackupError } from "../../common/errors.js";
import type { FiledBackup__Output } from "../../proto/generated/basalt/v1/FiledBackup.js";
import type { FileSet__Output } from "../../proto/generated/basalt/v1/FileSet.js";
import type { Reference__Output } from "../../proto/generated/basalt/v1/Reference.js";
import type { ReferenceSettings } from "./settings.js";

/**
 * The resource that a request is about.
 * @throws BackupError REFERENCE_FORBIDDEN, REQUEST_INVALID
 */
export function allowedReference(
  asked: Reference__Output,
  references: readonly ReferenceSettings[],
): ReferenceSettings {
  const found = references.find(({ name }) => name === asked.name);
  if (found === undefined) {
    const names = references.map(({ name }) => `"${name}"`).join(", ");
    const known = names === "" ? "no Reference at all" : `only ${names}`;
    throw forbidden(`no reference machine "${asked.name}": its configuration names ${known}`);
  }
  const { builder } = found.recipe;
  if (asked.bootCheck === "yes" && found.bootCheck === undefined)
    throw forbidden(`"${asked.name}", but has no BootCheck for it`);
  if (asked.builder !== "" && asked.builder !== builder)
    throw forbidden(`"${asked.name}" with Builder ${asked.builder}: its configuration says ${builder}`);
  return found;
}

function forbidden(text: string): BackupError {
  return new BackupError("REFERENCE_FORBIDDEN", `the file daemon builds ${text}`);
}

/**
 * Looks at a job that builds before anything is done.
 * @throws BackupError REFERENCE_FORBIDDEN, REQUEST_INVALID; REFERENCE_NOT_SAVED when its FileSet names another place
 */
export function checkRequest(
  { reference, level, fileSet }: Pick<FiledBackup__Output, "reference" | "level" | "fileSet">,
  references: readonly ReferenceSettings[],
): void {
  if (reference === null) return;
  if (level !== "Base")
    throw new BackupError("REQUEST_INVALID", `a ${level} builds no reference machine: only a Base does`);
  const { place, mount, name } = allowedReference(reference, references);
  const shown = mount === undefined ? place.path : path.join(mount.directory, name);
  if (fileSet === null || saves(fileSet, shown)) return;
  const text = `the FileSet "${fileSet.name}" names nothing in ${shown}, where reference machine "${name}" is`;
  const hint = place.kind === "image" && mount === undefined ? `Image: ${shown}` : `Root: ${shown}, File: /`;
  throw new BackupError("REFERENCE_NOT_SAVED", `${text}: give it Include: {${hint}}`);
}

/** True unless it certainly leaves the place out. */
function saves({ include }: FileSet__Output, place: string): boolean {
  const within = (a: string, b: string): boolean => a === b || a.startsWith(b === "/" ? b : `${b}/`);
  return include.some(({ root, files, images, lists }) => {
    // Lists are read later, and names of images have wildcards.
    if (lists.length > 0 || images.length > 0) return true;
    if (root !== "" && root !== "/") return within(root, place) || within(place, root);
    return files.some((file) => within(file, place) || within(place, file));
  });
}
