/**
 * Messages of `/basalt.v1.FiledData/Names`: the director brings a list of files before the request that names it. The
 * first message is a NamesHeader as JSON, the others are the bytes of the list, lines of names, cut anywhere. filed
 * answers with one empty message when it has the whole list.
 */
import { GarbledInput } from "../../common/format/varint.js";

export interface NamesHeader {
  /** job_uuid of a job, names_key of an estimate. */
  key: string;
  /** As in FileList. */
  number: number;
}

/** Lists of one key. */
export const MAX_LISTS = 100;

export function encodeNamesHeader(header: NamesHeader): Buffer {
  return Buffer.from(JSON.stringify(header));
}

/** @throws GarbledInput */
export function decodeNamesHeader(message: Buffer): NamesHeader {
  let header: Partial<NamesHeader>;
  try {
    header = JSON.parse(message.toString("utf8"));
  } catch {
    throw new GarbledInput("a list of files begins with no header");
  }
  const { key, number } = header ?? {};
  if (typeof key !== "string" || !/^[0-9a-f-]{1,64}$/.test(key)) throw new GarbledInput("impossible key");
  if (!Number.isInteger(number) || number! < 0 || number! >= MAX_LISTS)
    throw new GarbledInput("impossible number of a list");
  return { key, number: number! };
}
