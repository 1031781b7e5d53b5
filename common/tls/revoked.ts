/**
 * The list of withdrawn certificates, `pki/revoked.yaml`: a YAML list of {fingerprint, name, at, reason}.
 * A missing file is an empty list. A file that cannot be read or understood is an error, never an empty list.
 */

import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { Diagnostics } from "../config/diagnostics.js";
import type { ConfigNode } from "../config/source.js";
import { parseConfigText, yamlPackage } from "../config/yaml.js";
import { BackupError, describeError } from "../errors.js";

export interface RevokedEntry {
  /** SHA-256 of the certificate: 64 hex digits in lower case. In the file colons and case do not matter. */
  readonly fingerprint: string;
  readonly name: string;
  /** When it was withdrawn, `2026-11-21 03:23:28`. */
  readonly at: string;
  readonly reason: string;
}

/** Throws BackupError `TLS_INVALID` when the file is there but not usable. */
export function readRevoked(file: string): RevokedEntry[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new BackupError("TLS_INVALID", `cannot read revocation list ${describeError(cause)}`);
  }
  try {
    const diagnostics = new Diagnostics();
    const root = parseConfigText(file, text, diagnostics);
    const [fault] = diagnostics.all;
    if (fault !== undefined) throw new Error(`line ${fault.at.line}: ${fault.message}`);
    if (root === undefined) return [];
    if (root.kind !== "list") throw new Error("not a list of fingerprints");
    return root.items.map(toEntry);
  } catch (cause) {
    throw new BackupError("TLS_INVALID", `revocation list ${file}: ${describeError(cause)}`);
  }
}

function toEntry(node: ConfigNode): RevokedEntry {
  const entries = node.kind === "map" ? node.entries : [];
  const text = (wanted: string): string => {
    const value = entries.find(({ key }) => key === wanted)?.value;
    if (value === undefined) return "";
    if (value.kind !== "scalar") throw new Error(`line ${value.at.line}: ${wanted} is one text`);
    return value.text;
  };
  const fingerprint = text("fingerprint").replace(/[:\s]/g, "").toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(fingerprint))
    throw new Error(`line ${node.at.line}: a fingerprint has 64 hex digits`);
  return { fingerprint, name: text("name"), at: text("at"), reason: text("reason") };
}

/** Adds entries that are not in the list yet and replaces the file at once; returns how many were new. */
export function addRevoked(file: string, entries: readonly RevokedEntry[]): number {
  const list = readRevoked(file);
  const known = new Set(list.map(({ fingerprint }) => fingerprint));
  const fresh = entries.filter(({ fingerprint }) => !known.has(fingerprint));
  if (fresh.length === 0 && existsSync(file)) return 0;
  const header = "# Certificates that are no longer accepted; read again whenever it changes.\n";
  const temporary = `${file}.new`;
  const fd = openSync(temporary, "w", 0o644);
  try {
    writeSync(fd, header + yamlPackage().stringify([...list, ...fresh]));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, file);
  const directory = openSync(path.dirname(file), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
  return fresh.length;
}

/** A revocation list that follows its file. */
export interface Revocations {
  /** Looks at the file first; when it has become unusable every certificate counts as withdrawn. */
  isRevoked(fingerprint: string): boolean;
}

/**
 * Opens the list. The file is looked at on every question and read again when it changed.
 * `onError` hears once about each change that made it unusable.
 */
export function openRevocations(file: string, onError: (error: unknown) => void = () => {}): Revocations {
  let stamp: string | undefined;
  let revoked: ReadonlySet<string> | undefined = new Set();
  const refresh = (): void => {
    const current = stampOf(file);
    if (current === stamp) return;
    stamp = current;
    try {
      revoked = new Set(readRevoked(file).map((entry) => entry.fingerprint));
    } catch (error) {
      revoked = undefined;
      onError(error);
    }
  };
  refresh();
  return {
    isRevoked(fingerprint) {
      refresh();
      return revoked === undefined || revoked.has(fingerprint.replaceAll(":", "").toLowerCase());
    },
  };
}

function stampOf(file: string): string {
  try {
    const { ino, mtimeNs, size } = statSync(file, { bigint: true });
    return `${ino}-${mtimeNs}-${size}`;
  } catch (error) {
    return `none-${(error as NodeJS.ErrnoException).code}`;
  }
}
