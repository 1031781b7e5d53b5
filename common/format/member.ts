/**
 * Names of tar members on a volume. Everything of a job lies below `job<JobId>/`; the first component `.basalt`
 * there belongs to Basalt: entries of a machine that would fall under it get no member of their own (files are
 * then stored as parts) and are restored from the manifest alone.
 */
import { DIGEST_BYTES } from "./content.js";
import { isSafeKey } from "./path.js";
import { GarbledInput } from "./varint.js";

const RESERVED = ".basalt";

/** True when an entry with this key must not be written as a tar member under its own name. */
export function isReservedKey(key: string): boolean {
  return (
    key.startsWith(RESERVED) && (key.length === RESERVED.length || key.charCodeAt(RESERVED.length) === 0)
  );
}

/** Member name of an entry, without trailing slash: `job12/etc/passwd`; `job12` for the root. */
export function memberName(jobId: number, key: string): string {
  return key === "" ? `job${jobId}` : `job${jobId}/${key.replaceAll("\0", "/")}`;
}

/** Member name of a chunk: `job12/.basalt/parts/<64 hex digits>`. */
export function partName(jobId: number, digest: Buffer): string {
  return `job${jobId}/${RESERVED}/parts/${digest.toString("hex")}`;
}

/** Member name of a piece of the manifest, numbered from 1; later revisions of a list have directories of their own. */
export function manifestName(jobId: number, number: number, revision = 1): string {
  const room = revision === 1 ? "manifest" : `manifest.${revision}`;
  return `job${jobId}/${RESERVED}/${room}/${String(number).padStart(6, "0")}`;
}

/** What a member name stands for. */
export type Member =
  | { kind: "entry"; key: string }
  | { kind: "part"; digest: string }
  | { kind: "manifest"; number: number; revision: number };

/**
 * Reads a member name (without trailing slash) of job `jobId`.
 * @throws GarbledInput when it is not a safe name below that job's directory.
 */
export function parseMemberName(jobId: number, name: string): Member {
  const top = `job${jobId}`;
  if (name === top) return { kind: "entry", key: "" };
  if (!name.startsWith(`${top}/`)) throw new GarbledInput(`member outside ${top}/`);
  if (name.includes("\0")) throw new GarbledInput("member name with a NUL");
  const key = name.slice(top.length + 1).replaceAll("/", "\0");
  if (key === "" || !isSafeKey(key)) throw new GarbledInput("unsafe member name");
  if (!isReservedKey(key)) return { kind: "entry", key };
  const [, room, last, more] = key.split("\0");
  if (last !== undefined && more === undefined) {
    if (room === "parts" && /^[0-9a-f]+$/.test(last) && last.length === DIGEST_BYTES * 2) {
      return { kind: "part", digest: last };
    }
    const [, revision] = /^manifest(?:\.([1-9][0-9]{0,8}))?$/.exec(room ?? "") ?? [];
    const isManifest = room === "manifest" || (revision !== undefined && revision !== "1");
    if (isManifest && /^[0-9]{6}$/.test(last))
      return { kind: "manifest", number: Number(last), revision: Number(revision ?? 1) };
  }
  throw new GarbledInput("member name in the reserved directory .basalt");
}
