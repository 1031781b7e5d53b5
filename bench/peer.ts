/** What the benchmark asks of Basalt and of every tool it is compared with. */

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

/** One backup: the reference machine first, then each virtual machine. */
export interface BackupStep {
  level: "base" | "full" | "incremental";
  /** Name of the machine, such as `vm1`. */
  machine: string;
  /** Directory that holds its files. */
  tree: string;
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
  prepare(machines: string[]): Promise<void>;
  backup(step: BackupStep): Promise<Cost>;
  /** Restores the newest state of a machine below `dest`; `restored` is the directory equal to the source. */
  restore(step: { machine: string; tree: string }, dest: string): Promise<Cost & { restored: string }>;
  storedBytes(): Promise<Stored>;
  /** Ends all its processes and undoes what lies outside of its directory. Idempotent. */
  close(): Promise<void>;
}

/** Makes a peer that works in the given directory. */
export interface PeerKind {
  readonly name: string;
  /** What it is and how it is set up, with its version; undefined when it is not installed or cannot run here. */
  describe(): Promise<string | undefined>;
  create(dir: string): Peer;
}
