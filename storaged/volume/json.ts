/** Careful reading of the JSON records of a volume. All functions throw GarbledInput naming the record. */
import { GarbledInput } from "../../common/format/varint.js";

export type JsonObject = Record<string, unknown>;

/** Deepest nesting accepted: whoever writes a record on (JSON.stringify, SQLite) goes down by recursion. */
const MAX_DEPTH = 64;

export function parseObject(body: Buffer, what: string): JsonObject {
  if (isDeep(body)) throw new GarbledInput(`${what} is nested too deeply`);
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    throw new GarbledInput(`${what} is not JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new GarbledInput(`${what} is not a JSON object`);
  }
  return value as JsonObject;
}

function isDeep(body: Buffer): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]!;
    if (byte === 0x22) quoted = !quoted;
    else if (quoted) at += byte === 0x5c ? 1 : 0;
    else if ((byte === 0x5b || byte === 0x7b) && ++depth > MAX_DEPTH) return true;
    else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return false;
}

export function textOf(fields: JsonObject, key: string, what: string): string {
  const value = fields[key];
  if (typeof value !== "string") throw new GarbledInput(`${what} without ${key}`);
  return value;
}

/** A whole number from 0 to 2^53-1. */
export function numberOf(fields: JsonObject, key: string, what: string): number {
  const value = fields[key];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new GarbledInput(`${what} without ${key}`);
  }
  return value;
}

/** True for the lower-case form with dashes. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

/** The 16 bytes of a UUID in text form. @throws GarbledInput */
export function uuidBytes(text: string): Buffer {
  if (!isUuid(text)) throw new GarbledInput("invalid UUID");
  return Buffer.from(text.replaceAll("-", ""), "hex");
}

/** Text form of the 16 bytes of a UUID. */
export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
