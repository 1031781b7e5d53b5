/** A reference machine as filed.yaml describes it. */
import type { MountSettings } from "../mount/config.js";

/** Where the machine lies: a directory with its tree, or a disk image. */
export interface PlaceSettings {
  kind: "directory" | "image";
  /** Absolute. Beside it lie `.new`, `.old` and `.failed` ones. */
  path: string;
}

/** auto: KVM where it can be used, else emulation. */
export type Accelerator = "auto" | "kvm" | "tcg";

/** The virtual machine in which something is installed or booted. */
export interface MachineSettings {
  memoryBytes: number;
  processors: number;
  accel: Accelerator;
}

/** A kernel that QEMU loads itself, in place of a boot loader. */
export interface KernelSettings {
  /** Absolute paths. */
  kernel: string;
  initrd?: string | undefined;
}

/** A program of the hook directories makes it. */
export interface CommandRecipe {
  builder: "command";
  command: string;
}

/** mmdebstrap makes it of packages. */
export interface DebRecipe {
  builder: "mmdebstrap";
  suite: string;
  /** As mmdebstrap takes it. (Default: minbase) */
  variant: string;
  /** URIs, one-line entries or files of apt; empty: this machine's own sources for the suite. */
  mirrors: readonly string[];
  /** Empty: those of the mirrors. */
  components: readonly string[];
  packages: readonly string[];
  keyrings: readonly string[];
  aptOptions: readonly string[];
  /** Of the image, when it is one. */
  sizeBytes: number;
  /** The image has a partition table with one partition. (Default: yes) */
  partitioned: boolean;
}

/** An installer is booted in QEMU and installs by itself. */
export interface KickstartRecipe {
  builder: "kickstart";
  boot: KernelSettings;
  /** The file that tells the installer everything: a kickstart or preseed file. */
  kickstart: string;
  /** Kernel command line; `{kickstart}` stands for the file's URL. (Default: ks={kickstart} console=ttyS0) */
  append: string;
  sizeBytes: number;
  machine: MachineSettings;
}

export type Recipe = CommandRecipe | DebRecipe | KickstartRecipe;
export type Builder = Recipe["builder"];

/** The machine is booted from a throw-away copy, and its guest agent must answer. */
export interface BootCheckSettings {
  machine: MachineSettings;
  /** Of an image: it is booted by its own boot loader without. Of a tree: the newest in its /boot without. */
  boot?: KernelSettings | undefined;
  /** (Default: root=/dev/vda rw console=ttyS0) */
  append: string;
  /** (Default: 10 minutes) */
  timeLimitSec: number;
}

export interface ReferenceSettings {
  name: string;
  place: PlaceSettings;
  recipe: Recipe;
  /** Commands of the hook directories, run over what was built, in this order. */
  customize: readonly string[];
  /** For all of it, up to the backup. (Default: 4 hours) */
  timeLimitSec: number;
  bootCheck?: BootCheckSettings | undefined;
  /** Where the file systems of an image are mounted for the backup. */
  mount?: MountSettings | undefined;
}
