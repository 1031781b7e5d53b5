/** Directives about virtual machines of a Reference, and its block `BootCheck: {…}`. */
import type { Diagnostics } from "../../common/config/diagnostics.js";
import { absolutePath } from "../../common/config/parts.js";
import {
  type Block,
  type BlockSpec,
  duration,
  integer,
  scalar,
  size,
  words,
} from "../../common/config/spec.js";
import type { BootCheckSettings, MachineSettings, PlaceSettings } from "./settings.js";

const GB = 1024 ** 3;

export const accelerator = words("auto", "kvm", "tcg");

/** A kernel's command line, as a file of QEMU can hold it, with room for a URL. */
export const kernelWords = scalar((value) => {
  if (value.length <= 800 && /^[\x20-\x7e]*$/.test(value) && !value.includes('"')) return value;
  throw new Error("a kernel's command line has 800 characters at most, none of them a double quote");
});

const directives = {
  memory: size(),
  processors: integer(1, 64),
  accel: accelerator,
  kernel: absolutePath(),
  initrd: absolutePath(),
  append: kernelWords,
  timeLimit: duration(),
};

export const BOOT_CHECK_SPEC: BlockSpec<typeof directives> = { directives };

/** What the directives of a machine mean. */
export function toMachine(
  values: Partial<{ memory: number; processors: number; accel: MachineSettings["accel"] }>,
  memoryBytes: number,
): MachineSettings {
  const { memory = memoryBytes, processors = 1, accel = "auto" } = values;
  return { memoryBytes: memory, processors, accel };
}

export function toBootCheck(
  raw: Block<typeof directives>,
  { kind }: PlaceSettings,
  diagnostics: Diagnostics,
): BootCheckSettings {
  const { kernel, initrd, append, timeLimit = 600 } = raw.values;
  const lone = ["initrd", "append"].find((each) => raw.positions.has(each));
  if (kernel === undefined && lone !== undefined && (kind === "image" || lone === "initrd")) {
    const text = `${raw.place}: without a Kernel the machine is booted by its own boot loader or kernel`;
    diagnostics.error(raw.positions.get(lone)!, text);
  }
  return {
    machine: toMachine(raw.values, GB),
    boot: kernel === undefined ? undefined : { kernel, initrd },
    append: append ?? "root=/dev/vda rw console=ttyS0",
    timeLimitSec: timeLimit,
  };
}
