/** What holds a virtual machine still while its disks are snapshotted, and what lets it go again. All plain data. */

/**
 * Ways to hold a machine, as `Method` names them: its guest agent by socket; libvirt's way to the same agent; a pause by
 * QMP or by libvirt; commands that stop services; nothing.
 */
export type FreezeMethod = "agent" | "libvirt" | "qmp" | "libvirt-pause" | "command" | "none";

/** Stops something, and starts it again; `%n` stands for the machine's name. */
export interface Service {
  readonly stop: string;
  readonly start: string;
}

export interface FreezeSettings {
  /** Tried in this order until one holds. (Default: none) */
  readonly methods: readonly FreezeMethod[];
  /** Unix socket of the machine's guest agent; `%n` stands for the machine's name. */
  readonly agentSocket?: string | undefined;
  /** Unix socket of a QMP monitor that nobody else uses; `%n` as above. */
  readonly qmpSocket?: string | undefined;
  /** Mount points inside the guest that are frozen; empty: all that it has. */
  readonly fileSystems: readonly string[];
  /** Name of the machine in libvirt. (Default: %n) */
  readonly domain: string;
  /** What virsh connects to. (Default: qemu:///system) */
  readonly libvirtUri: string;
  /** The program virsh: absolute, or a name looked up in the usual directories. (Default: virsh) */
  readonly virsh: string;
  readonly services: readonly Service[];
  /** Commands of services are run from these directories only. */
  readonly hookDirectories: readonly string[];
  /** The machine is let go so long after the first step that holds it, whatever is going on. (Default: 60 s) */
  readonly timeoutSec: number;
  /** Limit of each step: one answer, one command. (Default: 20 s) */
  readonly stepTimeoutSec: number;
  /** A machine that cannot be held fails the job. (Default: no) */
  readonly required: boolean;
}

/** One way to hold one machine, complete. */
export type Grip =
  | { readonly kind: "agent"; readonly socket: string; readonly fileSystems: readonly string[] }
  | { readonly kind: "qmp"; readonly socket: string }
  | {
      readonly kind: "libvirt";
      readonly virsh: string;
      readonly uri: string;
      readonly domain: string;
      readonly fileSystems: readonly string[];
      readonly pause: boolean;
    }
  | {
      readonly kind: "command";
      readonly services: readonly Service[];
      readonly directories: readonly string[];
    };

/** What has to be done to let a machine go. */
export type Undo =
  | { readonly kind: "agent"; readonly socket: string }
  | { readonly kind: "qmp"; readonly socket: string }
  | {
      readonly kind: "libvirt";
      readonly virsh: string;
      readonly uri: string;
      readonly domain: string;
      readonly pause: boolean;
    }
  /** Commands to start again, the last one first; what has been started is taken off. */
  | { readonly kind: "command"; readonly starts: string[]; readonly directories: readonly string[] };

/** What a machine that is held has promised. */
export interface Held {
  readonly how: "guest" | "paused" | "services";
  /** File systems that are frozen, as the guest says. */
  readonly frozen: number;
  /** All that the guest has, not only some that were named. */
  readonly whole: boolean;
  /** For the report. */
  readonly text: string;
}

/** How a machine was found when it was let go. */
export interface Released {
  /** File systems that were frozen until then, as the guest says. */
  readonly thawed: number;
  /** Nobody else had let it go before, as far as that can be asked. */
  readonly kept: boolean;
  /** For the report. */
  readonly text: string;
}

/** What every step is given. */
export interface StepTools {
  readonly stepTimeoutMs: number;
  readonly signal: AbortSignal;
  /** The machine's name, for commands. */
  readonly vm: string;
}
