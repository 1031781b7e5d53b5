/** The package Basalt was installed as: its directory and version. */

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { BackupError } from "./errors.js";

/** Absolute directory that holds package.json, conf/ and docs/, whether run from build/ or not. */
export function packageRoot(): string {
  for (let directory = path.dirname(fileURLToPath(import.meta.url)); ; ) {
    if (existsSync(path.join(directory, "package.json"))) return directory;
    const parent = path.dirname(directory);
    if (parent === directory)
      throw new BackupError("PACKAGE_BROKEN", "package.json of Basalt is missing; reinstall it");
    directory = parent;
  }
}

/** Version in package.json, such as `0.1.0`. */
export function packageVersion(): string {
  const text = readFileSync(path.join(packageRoot(), "package.json"), "utf8");
  return String((JSON.parse(text) as { version?: unknown }).version ?? "unknown");
}
