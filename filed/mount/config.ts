/** `Mount: {…}` of a `Snapshot` resource in filed.yaml. */
import { absolutePath } from "../../common/config/parts.js";
import { type Block, type BlockSpec, duration, oneOf, yesNo } from "../../common/config/spec.js";

export interface MountSettings {
  /** Below it every virtual machine has a directory of its own; absolute. (Default: /run/basalt/mnt) */
  readonly directory: string;
  /** Logical volumes inside the guest's disks are mounted too. (Default: true) */
  readonly lvmInGuest: boolean;
  /** Mount also when something that the guest's fstab names is not there, and say so. (Default: false) */
  readonly incomplete: boolean;
  /** For all mounts of one machine together, replaying journals included, in seconds. (Default: 10 minutes) */
  readonly timeLimitSec: number;
  /** After this something that is still in use is unmounted lazily, in seconds. (Default: 30 seconds) */
  readonly unmountLimitSec: number;
}

const mountDirectives = {
  directory: absolutePath(),
  lvmInGuest: yesNo(),
  incomplete: oneOf({ refuse: false, report: true }),
  timeLimit: duration(),
  unmountLimit: duration(),
};

export const MOUNT_SPEC: BlockSpec<typeof mountDirectives> = { directives: mountDirectives };

/** What a block, or none, means. */
export function toMountSettings(raw?: Block<typeof mountDirectives>): MountSettings {
  const values = raw?.values ?? {};
  return {
    directory: values.directory ?? "/run/basalt/mnt",
    lvmInGuest: values.lvmInGuest ?? true,
    incomplete: values.incomplete ?? false,
    timeLimitSec: values.timeLimit ?? 600,
    unmountLimitSec: values.unmountLimit ?? 30,
  };
}
