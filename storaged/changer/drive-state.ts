/** What is known of a drive of an autochanger. */

import { BackupError } from "../../common/errors.js";

/** What has files open in a drive. Called while nothing is being done with them. */
export interface Occupant {
  /** Makes everything written durable and closes the file; it is opened again when it is needed. */
  leave(): Promise<void>;
}

export interface DriveState {
  /** Slot that its volume came from; 0: empty; undefined: the changer has to be asked. */
  slot: number | undefined;
  /** Things being done with its volume now. */
  uses: number;
  /** Its volume is being changed: nothing new is begun with it. */
  moving: boolean;
  /** Somebody has waited long enough for it: nothing new is begun with its volume. */
  yields: boolean;
  /** An operator has unmounted it: nothing is loaded until it is mounted. */
  unmounted: boolean;
  /** When its volume was last used, by a monotonic clock. */
  usedAtMs: number;
  readonly occupants: Set<Occupant>;
}

/** Of a drive that nothing is known of yet. */
export function newState(): DriveState {
  return {
    ...{ slot: undefined, uses: 0, moving: false, yields: false },
    ...{ unmounted: false, usedAtMs: 0, occupants: new Set() },
  };
}

export function busy(name: string): BackupError {
  return new BackupError("DEVICE_BUSY", `Device "${name}" is busy: something is being read or written there`);
}

export function noDrive(slot: number): BackupError {
  const all = "all drives of the autochanger are unmounted or disabled";
  return new BackupError("VOLUME_NOT_LOADED", `slot ${slot} is in no drive, and ${all}: use "mount"`, {
    retry: "later",
  });
}
