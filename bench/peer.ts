/** What the benchmark asks of Basalt and of every tool it is compared with. */
import type { MemoryTrace } from "./trace.js";

/** What a step cost. */
export interface Cost {
  /** From the order to the moment the tool says it is done. */
  wallSeconds: number;
  /** The duration in the tool's own report, if it gives one. */
  reportedSeconds?: number;
  /** User and system time of all its processes. */
  cpuSeconds: number;
  /** Largest resident size of its processes during the step, added up over daemons. */
  peakRssBytes: number;
  /** The daemons' shares, by name. */
  daemons?: Record<string, DaemonCost>;
}

/** What one daemon spent during a step. */
export interface DaemonCost {
  cpuSeconds: number;
  peakRssBytes: number;
}

/** A machine whose backups are measured: its files, or a directory that holds nothing but the image of its disk. */
export interface Machine {
  /** Such as `vm1`; `reference` is what others are based on, and comes first. */
  name: string;
  kind: "tree" | "image";
  /** Directory that holds its files, or its IMAGE_NAME. */
  tree: string;
}

/** Name of the one file of a machine of kind image. */
export const IMAGE_NAME = "disk.raw";

/** One backup: the reference machine first, then each virtual machine. */
export interface BackupStep {
  level: "base" | "full" | "incremental";
  machine: Machine;
}

/** What is measured now and how it is watched; the benchmark keeps it up to date. */
export interface Observed {
  /** From 0 on. */
  readonly repetition: number;
  readonly step: string;
  /** Gets the resident sizes of daemons. */
  readonly trace?: MemoryTrace | undefined;
  /** Daemons that can be profiled are started anew for each step and leave their CPU profiles below it. */
  readonly profileDir?: string | undefined;
}

/** What lies on the disk afterwards. */
export interface Stored {
  dataBytes: number;
  /** Databases and indexes that are not part of the data. */
  catalogBytes: number;
}

/** A backup tool with a throw-away installation of its own. */
export interface Peer {
  readonly name: string;
  /** Makes the installation in the peer's directory, which is empty, for these machines. */
  prepare(machines: readonly Machine[]): Promise<void>;
  /** Undefined: the tool has nothing to do with this step. */
  backup(step: BackupStep): Promise<Cost | undefined>;
  /** Restores the newest state of a machine below `dest`; a tree then lies in the directory `restored`. */
  restore(machine: Machine, dest: string): Promise<(Cost & { restored: string }) | undefined>;
  storedBytes(): Promise<Stored>;
  /** Ends all its processes and undoes what lies outside of its directory. Idempotent. */
  close(): Promise<void>;
}

/** Makes a peer that works in the given directory. */
export interface PeerKind {
  readonly name: string;
  /** A yardstick, not a backup system: nobody needs to be faster. (Default: false) */
  readonly floor?: boolean;
  /** What it can take part in. (Default: both) */
  readonly only?: Machine["kind"];
  /** What it is and how it is set up, with its version; undefined when it is not installed or cannot run here. */
  describe(): Promise<string | undefined>;
  create(dir: string, observed: Observed): Peer;
}
