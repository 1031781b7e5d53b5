/** What the process that holds a machine and the one that wants it held say to each other. */
import type { Grip, Held, Released, Undo } from "./settings.js";

export interface HoldLimits {
  readonly vm: string;
  readonly stepTimeoutMs: number;
  /** From the first step that changes something until the machine is let go. */
  readonly timeoutMs: number;
  /** Where machines that are held are noted; undefined: nowhere. */
  readonly workingDirectory?: string | undefined;
}

export type ToGuard =
  | ({ readonly type: "hold"; readonly grip: Grip } & HoldLimits)
  | { readonly type: "release" };

/** Why a machine was let go before that was asked for. */
export type Early = "time" | "signal";

export type FromGuard =
  /** The next step changes something; this undoes it and what was done before. */
  | { readonly type: "armed"; readonly undo: Undo }
  | { readonly type: "held"; readonly held: Held }
  /** Nothing is held, and nothing is left to be undone. */
  | { readonly type: "failed"; readonly why: string }
  | { readonly type: "released"; readonly released: Released; readonly early: Early | undefined }
  /** Letting go has failed so far; it is tried on. */
  | { readonly type: "trouble"; readonly why: string };
