/**
 * Runs an autochanger's command, as Bacula's manual describes it ("Autochanger Support"): without a shell, with a time
 * limit, one run at a time per changer (the caller sees to that). Its answer is what it prints.
 */

import { BackupError, describeError } from "../../common/errors.js";
import { describeFailure, runCommand } from "../../common/exec.js";
import { splitWords } from "../../common/words.js";
import type { DeviceResource } from "../device-config.js";

export type Operation = "load" | "unload" | "loaded" | "list" | "slots" | "listall";

/** A slot as the changer lists it. */
export interface ListedSlot {
  slot: number;
  /** "": it has none. */
  barcode: string;
}

export interface CommandFacts {
  device: DeviceResource;
  /** 0: the operation has none. */
  slot: number;
  /** "": none is meant. */
  volume: string;
}

/** Lines of an answer that are read; a changer with more slots is none. */
const MAX_LINES = 20_000;
const MAX_LINE_BYTES = 512;

/** Whatever a script says, numbers beyond this are no slots. */
export const MAX_SLOT = 99_999;

/** Numbers of Bacula's answers about a command that failed. */
const FAILED: Readonly<Record<Operation, string>> = {
  load: "3992 Bad autochanger",
  unload: "3995 Bad autochanger",
  loaded: "3991 Bad autochanger",
  list: "3998 Bad autochanger",
  slots: "3998 Bad autochanger",
  listall: "3998 Bad autochanger",
};

/** `load slot 3, drive 0`: an operation as Bacula's lines name it. */
export function operationText(operation: Operation, { device, slot }: CommandFacts): string {
  const drive = `drive ${device.drive?.index ?? 0}`;
  if (operation === "loaded") return `loaded? ${drive}`;
  return operation === "load" || operation === "unload" ? `${operation} slot ${slot}, ${drive}` : operation;
}

/**
 * The lines that the command printed, without empty ones.
 * @throws BackupError VOLUME_NOT_LOADED with Bacula's words when it fails, is killed, or cannot be started
 */
export async function runChanger(operation: Operation, facts: CommandFacts): Promise<string[]> {
  const { drive } = facts.device;
  const lines: string[] = [];
  const timeoutMs = (drive?.maximumWaitSec ?? 300) * 1000;
  let why: string | undefined;
  try {
    const result = await runCommand({
      words: changerWords(drive?.command ?? "", operation, facts),
      env: environment(),
      timeoutMs,
      maxLines: MAX_LINES,
      maxLineBytes: MAX_LINE_BYTES,
      onLine: (line) => {
        if (line.trim() !== "") lines.push(line.trim());
      },
    });
    why = describeFailure(result, timeoutMs);
  } catch (error) {
    why = describeError(error);
  }
  if (why === undefined) return lines;
  const results = lines.length === 0 ? "" : ` Results=${lines.slice(0, 3).join(" ")}`;
  const text = `${FAILED[operation]} "${operationText(operation, facts)}" command: ERR=${why}.${results}`;
  throw new BackupError("VOLUME_NOT_LOADED", text, { retry: "later" });
}

function environment(): Record<string, string> {
  const { PATH, LANG, TZ } = process.env;
  return {
    PATH: PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: LANG ?? "C.UTF-8",
    ...(TZ === undefined ? {} : { TZ }),
  };
}

/**
 * Program and arguments with the codes of Bacula's Changer Command: `%%` `%a` archive device, `%c` changer device, `%d`
 * drive index, `%o` operation, `%s` slot from 0, `%S` slot from 1, `%v` volume. A value with blanks stays one word.
 */
export function changerWords(
  command: string,
  operation: Operation,
  { device, slot, volume }: CommandFacts,
): string[] {
  const values: Readonly<Record<string, string>> = {
    "%": "%",
    a: device.archiveDevice,
    c: device.drive?.changerDevice ?? "",
    d: String(device.drive?.index ?? 0),
    o: operation,
    s: String(Math.max(0, slot - 1)),
    S: String(slot),
    v: volume,
  };
  return splitWords(command).map((word) =>
    word.replace(/%(.)/g, (whole, code: string) => (Object.hasOwn(values, code) ? values[code]! : whole)),
  );
}

/** The number that `loaded` and `slots` print; undefined for anything else. */
export function readNumber(lines: readonly string[]): number | undefined {
  const text = lines[0] ?? "";
  return /^\d{1,5}$/.test(text) ? Number(text) : undefined;
}

/** What `list` prints: `SLOT:BARCODE`, or `SLOT` alone; other lines are passed over. */
export function readList(lines: readonly string[]): ListedSlot[] {
  const slots: ListedSlot[] = [];
  for (const line of lines) {
    const [, number, barcode = ""] = /^(\d{1,5})(?::(.*))?$/.exec(line) ?? [];
    const slot = Number(number ?? 0);
    if (slot > 0 && slot <= MAX_SLOT) slots.push({ slot, barcode: barcode.trim() });
  }
  return slots;
}
