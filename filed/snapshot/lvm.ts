/** Snapshots of logical volumes: thick ones, and thin ones of thin volumes. */
import { BackupError } from "../../common/errors.js";
import { formatBytes } from "../../common/units.js";
import { type LogicalVolume, LVM_TIMEOUT_MS, readVolumeGroup, type VolumeGroup } from "./lvm-report.js";
import { diskNumbers, snapshotName } from "./names.js";
import { ownerOfTags, ownerTags } from "./owner-tags.js";
import { type LvmSettings, roomBytes, type SnapshotSettings } from "./settings.js";
import { runTool } from "./tool.js";
import type { Owner, Plan, Provider, SnapshotDisk, SnapshotSet } from "./types.js";

/** A pool whose metadata is full fails as a whole. */
const FULL_METADATA_PERCENT = 95;

interface Origin {
  readonly number: number;
  readonly volume: LogicalVolume;
  /** Room for changes: of the volume group for a thick snapshot, of the pool for a thin one. */
  readonly room: number;
}

export class LvmProvider implements Provider {
  readonly #settings: SnapshotSettings;
  readonly #group: string;
  readonly #thinOnly: boolean;

  constructor(settings: SnapshotSettings, { volumeGroup, thinOnly }: LvmSettings) {
    this.#settings = settings;
    this.#group = volumeGroup;
    this.#thinOnly = thinOnly;
  }

  async plan(vm: string): Promise<Plan> {
    const group = await readVolumeGroup(this.#group);
    const origins = this.#origins(vm, group);
    for (const { volume } of origins) this.#checkOrigin(volume, group);
    this.#checkThickRoom(vm, origins, group);
    this.#checkPools(vm, origins, group);
    return {
      disks: origins.map(({ number, volume }) => ({ number, origin: volume.name })),
      instants: origins.length,
      make: async (owner, signal) => {
        for (const origin of origins) {
          signal?.throwIfAborted();
          await this.#make(origin, owner, group.extentBytes);
        }
      },
    };
  }

  #origins(vm: string, group: VolumeGroup): Origin[] {
    const { pattern, room, name } = this.#settings;
    const numberOf = diskNumbers(pattern, vm);
    const found = group.volumes.flatMap((volume) => {
      const number = numberOf(volume.name);
      if (number === undefined) return [];
      // With so much no snapshot overflows: all of the volume, and the notes on where its blocks are.
      const most = volume.sizeBytes * 1.02 + group.extentBytes;
      return [{ number, volume, room: Math.min(roomBytes(room, volume.sizeBytes), most) }];
    });
    if (found.length > 0) return found.sort((a, b) => a.number - b.number);
    const names = pattern.replace("%n", vm);
    const text = `volume group ${this.#group} has no volume ${names} (Snapshot "${name}")`;
    throw new BackupError("SNAPSHOT_NO_DISK", text);
  }

  #checkOrigin(volume: LogicalVolume, { volumes }: VolumeGroup): void {
    const name = `${this.#group}/${volume.name}`;
    if ("sS".includes(volume.type))
      throw new BackupError("SNAPSHOT_FAILED", `${name} is a snapshot itself: there is none of a snapshot`);
    if (this.#thinOnly && volume.type !== "V") {
      const text = `${name} is no thin volume; Provider: lvm makes snapshots of both kinds`;
      throw new BackupError("SNAPSHOT_FAILED", text);
    }
    const wanted = snapshotName(volume.name);
    if (!volumes.some((other) => other.name === wanted)) return;
    throw new BackupError(
      "SNAPSHOT_EXISTS",
      `${this.#group}/${wanted} exists, and Basalt did not make it; remove it`,
    );
  }

  #checkThickRoom(vm: string, origins: readonly Origin[], { freeBytes, extentBytes }: VolumeGroup): void {
    const thick = origins.filter(({ volume }) => volume.type !== "V");
    const needed = thick.reduce((sum, { room }) => sum + extents(room, extentBytes) * extentBytes, 0);
    if (needed > freeBytes) this.#refuse(vm, `volume group ${this.#group}`, { needed, free: freeBytes });
  }

  #checkPools(vm: string, origins: readonly Origin[], { volumes }: VolumeGroup): void {
    for (const pool of volumes.filter(({ type }) => type === "t")) {
      const inPool = origins.filter(({ volume }) => volume.type === "V" && volume.pool === pool.name);
      if (inPool.length === 0) continue;
      const name = `thin pool ${this.#group}/${pool.name}`;
      const fault = poolFault(pool);
      if (fault !== undefined) throw new BackupError("SNAPSHOT_NO_ROOM", `${name} ${fault}`);
      const { metadataPercent = 0, dataPercent = 0 } = pool;
      if (metadataPercent >= FULL_METADATA_PERCENT) {
        const text = `the metadata of ${name} are ${metadataPercent}% full; extend them with lvextend --poolmetadatasize`;
        throw new BackupError("SNAPSHOT_NO_ROOM", text);
      }
      const free = Math.floor(pool.sizeBytes * (1 - dataPercent / 100));
      const needed = inPool.reduce((sum, { room }) => sum + room, 0);
      if (needed > free) this.#refuse(vm, name, { needed, free });
    }
  }

  #refuse(vm: string, where: string, { needed, free }: { needed: number; free: number }): never {
    const has = `${where} has ${formatBytes(free)} free, the snapshots of ${vm} are to have ${formatBytes(needed)}`;
    const advice = `make room, or set a smaller Size in Snapshot "${this.#settings.name}"`;
    throw new BackupError("SNAPSHOT_NO_ROOM", `${has}: ${formatBytes(needed - free)} are missing; ${advice}`);
  }

  async #make({ number, volume, room }: Origin, owner: Owner, extentBytes: number): Promise<void> {
    const tags = ownerTags(owner, number).flatMap((tag) => ["--addtag", tag]);
    // Thin snapshots stay off when a machine starts, unless somebody asks for them: -K is for this time.
    const how = volume.type === "V" ? ["-ay", "-K"] : ["--extents", String(extents(room, extentBytes))];
    const name = ["--name", snapshotName(volume.name)];
    const words = ["lvcreate", "--snapshot", "--quiet", "--yes", ...how, ...name, ...tags];
    await runTool([...words, `${this.#group}/${volume.name}`], { timeoutMs: LVM_TIMEOUT_MS });
  }

  async sets(vm?: string): Promise<SnapshotSet[]> {
    const { volumes } = await readVolumeGroup(this.#group);
    const sets = new Map<string, { owner: Owner; disks: SnapshotDisk[] }>();
    for (const volume of volumes) {
      const { owner, disk } = ownerOfTags(volume.tags) ?? {};
      if (owner === undefined || disk === undefined || !volume.name.startsWith(snapshotName(""))) continue;
      if (vm !== undefined && owner.vm !== vm) continue;
      const set = sets.get(owner.set) ?? { owner, disks: [] };
      set.disks.push(this.#disk(disk, volume, volumes));
      sets.set(owner.set, set);
    }
    for (const { disks } of sets.values()) disks.sort((a, b) => a.number - b.number);
    return [...sets.values()];
  }

  #disk(number: number, volume: LogicalVolume, volumes: readonly LogicalVolume[]): SnapshotDisk {
    const thick = "sS".includes(volume.type);
    const pool = volumes.find(({ name, type }) => type === "t" && name === volume.pool);
    const origin = volume.name.slice(snapshotName("").length);
    return {
      number,
      origin,
      name: volume.name,
      device: volume.path || `/dev/${this.#group}/${volume.name}`,
      writable: true,
      // The size of a thick snapshot itself is its room.
      sizeBytes: (thick ? volumes.find(({ name }) => name === origin) : volume)?.sizeBytes ?? 0,
      usedPercent: thick ? volume.dataPercent : pool?.dataPercent,
      fault: thick ? thickFault(volume) : thinFault(volume, pool),
    };
  }

  async remove({ disks }: SnapshotSet): Promise<void> {
    const there = new Set((await readVolumeGroup(this.#group)).volumes.map(({ name }) => name));
    const names = disks.filter(({ name }) => there.has(name)).map(({ name }) => `${this.#group}/${name}`);
    if (names.length === 0) return;
    await runTool(["lvremove", "--quiet", "--yes", ...names], { timeoutMs: LVM_TIMEOUT_MS });
  }
}

function extents(bytes: number, extentBytes: number): number {
  return Math.max(1, Math.ceil(bytes / extentBytes));
}

function thickFault(volume: LogicalVolume): string | undefined {
  if (volume.invalid || (volume.dataPercent ?? 0) >= 100) return "has overflowed, its data is garbage";
  return volume.active ? undefined : "is not active";
}

function thinFault(volume: LogicalVolume, pool: LogicalVolume | undefined): string | undefined {
  const fault = pool === undefined ? "is gone" : poolFault(pool);
  if (fault !== undefined) return `lies in the thin pool ${volume.pool}, which ${fault}`;
  if (volume.health !== "") return `is not well: ${volume.health}`;
  return volume.active ? undefined : "is not active";
}

function poolFault(pool: LogicalVolume): string | undefined {
  if (pool.health !== "") return `is not well: ${pool.health}`;
  return (pool.dataPercent ?? 0) >= 100 ? "is full" : undefined;
}
