/** What snapshots are to everybody here: sets of disks of one virtual machine, made together and removed together. */

/** Who made a set. It is written on what was made, so that leftovers are found by it alone. */
export interface Owner {
  /** Name of the hypervisor and of its file daemon: others may see the same storage. */
  readonly host: string;
  readonly filed: string;
  /** Name of the Snapshot resource. */
  readonly resource: string;
  readonly vm: string;
  /** A random name of the set. */
  readonly set: string;
  /** How many disks it has when it is complete. */
  readonly disks: number;
  /** The process that makes or made it; see process-identity.ts. */
  readonly process: string;
  readonly sinceSec: number;
  /** Absent when it was made by hand. */
  readonly job?: { readonly uuid: string; readonly id: number } | undefined;
}

/** One disk at the instant of the snapshot. */
export interface SnapshotDisk {
  /** As in the name of the disk; 1 for a machine with a single one. */
  readonly number: number;
  readonly origin: string;
  readonly name: string;
  /** Block device or image file. */
  readonly device: string;
  readonly writable: boolean;
  readonly sizeBytes: number;
  /** Room for changes of the original that is in use; undefined where there is no such bound. */
  readonly usedPercent?: number | undefined;
  /** Why it is no good; undefined when it is. */
  readonly fault?: string | undefined;
}

export interface SnapshotSet {
  readonly owner: Owner;
  /** Those that are there, by number. */
  readonly disks: readonly SnapshotDisk[];
}

/** What will be made for a machine. Nothing is yet. */
export interface Plan {
  readonly disks: readonly { readonly number: number; readonly origin: string }[];
  /** Snapshots that are made one after the other; with 1 all disks are of one instant by themselves. */
  readonly instants: number;
  /**
   * Makes them all; looks at the signal between any two. What was made stays when it throws, and carries the owner.
   * @throws BackupError SNAPSHOT_FAILED, SNAPSHOT_EXISTS; the signal's reason
   */
  make(owner: Owner, signal: AbortSignal | undefined): Promise<void>;
}

/** One kind of storage that can make snapshots. All of it may throw BackupError SNAPSHOT_FAILED. */
export interface Provider {
  /** Finds the disks and the room for them. @throws BackupError SNAPSHOT_NO_DISK, SNAPSHOT_NO_ROOM, SNAPSHOT_EXISTS */
  plan(vm: string): Promise<Plan>;
  /** Sets with a mark of an owner, of whatever host and daemon: of one machine or of all. */
  sets(vm?: string): Promise<SnapshotSet[]>;
  /** Removes what there is of a set; nobody may use it any more. It is no error when it is gone. */
  remove(set: SnapshotSet): Promise<void>;
}
