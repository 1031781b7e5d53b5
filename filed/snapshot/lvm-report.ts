/** What `lvs` says of a volume group. */
import { BackupError } from "../../common/errors.js";
import { runTool } from "./tool.js";

/** Only one that hangs is ended: in the middle it may have suspended a device that somebody writes to. */
export const LVM_TIMEOUT_MS = 300_000;

export interface LogicalVolume {
  readonly name: string;
  /** The device's path. */
  readonly path: string;
  readonly sizeBytes: number;
  /** First letters of its attributes: `s` or `S` a thick snapshot, `V` a thin volume, `t` a thin pool, and so on. */
  readonly type: string;
  readonly active: boolean;
  /** A thick snapshot whose room is used up. */
  readonly invalid: boolean;
  /** `out_of_data`, `metadata_read_only`, `failed`; empty when well. */
  readonly health: string;
  /** The pool of a thin volume. */
  readonly pool: string;
  readonly tags: readonly string[];
  /** Used room of a thick snapshot or of a pool. */
  readonly dataPercent: number | undefined;
  readonly metadataPercent: number | undefined;
}

export interface VolumeGroup {
  readonly volumes: readonly LogicalVolume[];
  readonly freeBytes: number;
  readonly extentBytes: number;
}

const FIELDS = [
  ...["lv_name", "lv_path", "lv_size", "lv_attr", "lv_health_status", "pool_lv", "lv_tags"],
  ...["data_percent", "metadata_percent", "vg_free", "vg_extent_size"],
];

/** @throws BackupError SNAPSHOT_FAILED also when there is no such group */
export async function readVolumeGroup(name: string): Promise<VolumeGroup> {
  const words = ["lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", FIELDS.join(","), name];
  const output = await runTool(words, { timeoutMs: LVM_TIMEOUT_MS });
  const rows = rowsOf(output);
  const [first] = rows;
  return {
    volumes: rows.map(toVolume),
    freeBytes: Number(first?.vg_free ?? 0),
    extentBytes: Number(first?.vg_extent_size ?? 0),
  };
}

type Row = Readonly<Record<string, string>>;

function rowsOf(output: string): Row[] {
  try {
    const { report } = JSON.parse(output) as { report: { lv: Row[] }[] };
    return report.flatMap(({ lv }) => lv);
  } catch (cause) {
    throw new BackupError("SNAPSHOT_FAILED", "lvs did not print a report", { cause });
  }
}

function toVolume(row: Row): LogicalVolume {
  const attributes = row.lv_attr ?? "";
  const percent = (text: string | undefined): number | undefined =>
    text === undefined || text === "" ? undefined : Number(text);
  return {
    name: row.lv_name ?? "",
    path: row.lv_path ?? "",
    sizeBytes: Number(row.lv_size ?? 0),
    type: attributes.charAt(0),
    active: /^....[as]/.test(attributes),
    invalid: /^....[IS]/.test(attributes),
    health: row.lv_health_status ?? "",
    pool: row.pool_lv ?? "",
    tags: (row.lv_tags ?? "").split(",").filter(Boolean),
    dataPercent: percent(row.data_percent),
    metadataPercent: percent(row.metadata_percent),
  };
}
