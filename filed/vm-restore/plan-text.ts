/** A plan as the file that `loadPlan` reads, with remarks for whoever changes it. */
import { stringify } from "yaml";
import type { DiskPlan } from "./plan.js";
import type { PartitionSpec } from "./plan-partition.js";

export interface PlanDraft {
  readonly vm: string;
  /** (Default: to be filled in) */
  readonly client?: string | undefined;
  readonly jobId?: number | undefined;
  readonly disks: readonly DiskPlan[];
  /** Sentences at its beginning. */
  readonly remarks: readonly string[];
}

/** Values that must be filled in before the plan can be read are left out. */
export function planText({ vm, client, jobId, disks, remarks }: PlanDraft): string {
  const lines = [
    ...remarks,
    ...(client === undefined ? ["Client: is missing: whose file daemon is on this machine"] : []),
  ];
  if (jobId === undefined) lines.push("JobId: is missing: the run whose state is wanted");
  const plan = { Name: vm, Client: client, JobId: jobId, Disk: disks.map(diskOf) };
  return `${lines.map((line) => `# ${line}\n`).join("")}${stringify({ VM: plan }, { lineWidth: 0 })}`;
}

function diskOf(disk: DiskPlan): Record<string, unknown> {
  const common = { Device: disk.device, Size: disk.sizeBytes };
  const overwrite = disk.overwrite ? { Overwrite: "yes" } : {};
  if (disk.image !== undefined) return { ...common, Image: disk.image, ...overwrite };
  const table = { Table: disk.table, DiskId: disk.diskId };
  return { ...common, ...overwrite, ...table, Partition: disk.partitions.map(partitionOf) };
}

/** Properties without a value are not written. */
function partitionOf(spec: PartitionSpec): Record<string, unknown> {
  return {
    Number: spec.number,
    Start: spec.startBytes,
    Size: spec.sizeBytes,
    Type: spec.type,
    PartUuid: spec.partUuid,
    Name: spec.name,
    Bootable: spec.bootable ? "yes" : undefined,
    Filesystem: spec.filesystem === "none" ? undefined : spec.filesystem,
    UUID: spec.uuid,
    Label: spec.label,
    MkfsOptions: spec.options.length === 0 ? undefined : spec.options.join(" "),
    Mount: spec.mount,
  };
}
