/**
 * The file systems of a virtual machine as one tree on the host: its root, and on it what its own fstab names, from
 * snapshots of its disks. See docs/mounting.md.
 */
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { displayPath } from "../../common/format/path.js";
import { monotonicMs } from "../../common/time.js";
import type { MountSettings } from "./config.js";
import { VolumeFinder } from "./find-volume.js";
import { type Fstab, type FstabEntry, parseFstab } from "./fstab.js";
import { mountsWithin } from "./mount-table.js";
import { isReplayed, type JournalRule, type MountStep, mountVolume } from "./mount-volume.js";
import { machineDirectory, makeMachineDirectory, readFstab } from "./place.js";
import { runMountProgram } from "./programs.js";
import { unmountVm } from "./unmount-vm.js";
import { contentName, type Disk, type Volume, volumesOf } from "./volumes.js";

export interface MountTools {
  /** The guest's file systems were certainly frozen while the snapshots were made: their journals are not needed. */
  confirmedFreeze: boolean;
  /** "skip": what is only in the journals is given up; for disks that cannot be written. (Default: "replay") */
  journal?: "replay" | "skip";
  /** A line about what was mounted, or was not. */
  report: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/**
 * Mounts a machine below `settings.directory`, all of it or nothing. `unmountVm` releases it.
 * @throws BackupError MOUNT_FAILED, LOOP_FAILED, INTERRUPTED: nothing is mounted then
 */
export async function mountVm(
  vm: string,
  disks: readonly Disk[],
  settings: MountSettings,
  tools: MountTools,
): Promise<void> {
  const root = machineDirectory(settings.directory, vm);
  if (mountsWithin(root).length > 0)
    throw failed(vm, `something is mounted on ${root}; remove that first (basalt snapshot remove ${vm})`);
  makeMachineDirectory(root);
  try {
    await new Mounting(vm, root, settings, tools).run(disks);
  } catch (cause) {
    await unmountVm(vm, settings, tools).catch((error) => tools.report(`Warning: ${describeError(error)}`));
    if (cause instanceof BackupError && cause.code !== "MOUNT_FAILED") throw cause;
    throw failed(vm, describeError(cause), cause);
  }
}

function failed(vm: string, text: string, cause?: unknown): BackupError {
  return new BackupError("MOUNT_FAILED", `cannot mount the file systems of ${vm}: ${text}`, { cause });
}

/** A guest can name thousands of things. */
const MAX_LINES = 300;

interface Planned {
  volume: Volume;
  entry: FstabEntry;
}

class Mounting {
  readonly #vm: string;
  readonly #root: string;
  readonly #settings: MountSettings;
  readonly #tools: MountTools;
  readonly #journal: JournalRule;
  readonly #endsAtMs: number;
  #told = 0;

  constructor(vm: string, root: string, settings: MountSettings, tools: MountTools) {
    this.#vm = vm;
    this.#root = root;
    this.#settings = settings;
    this.#tools = tools;
    this.#journal = tools.confirmedFreeze ? "frozen" : (tools.journal ?? "replay");
    this.#endsAtMs = monotonicMs() + settings.timeLimitSec * 1000;
  }

  async run(disks: readonly Disk[]): Promise<void> {
    const volumes = volumesOf(disks, { lvm: this.#settings.lvmInGuest });
    // Mounts in a private mount are not copied to other mount namespaces, where nobody would unmount them.
    await runMountProgram(["mount", "-n", "-i", "-c", "--bind", this.#root, this.#root], this.#limits());
    await runMountProgram(["mount", "-n", "-i", "-c", "--make-private", this.#root], this.#limits());
    const { root, fstab } = await this.#findRoot(volumes);
    this.#tell(`/ is ${described(root)}${this.#journalNote(root)}`);
    for (const remark of fstab.remarks) this.#tell(`Warning: etc/fstab, ${remark}: left out`);
    const mounted = new Set([root]);
    for (const { volume, entry } of this.#plan(root, volumes, fstab)) {
      if (await this.#mountPlanned(volume, entry)) mounted.add(volume);
    }
    for (const volume of volumes) {
      if (!mounted.has(volume)) this.#tell(`${described(volume)} is not mounted`);
    }
  }

  /** Mounts the root; others that could be it are unmounted again. */
  async #findRoot(volumes: readonly Volume[]): Promise<{ root: Volume; fstab: Fstab }> {
    const notes: string[] = [];
    let found: { root: Volume; fstab: Fstab } | undefined;
    for (const volume of volumes) {
      const text = await this.#lookInto(volume, notes);
      if (text === undefined) continue;
      const fstab = parseFstab(text);
      if (namesItself(volume, volumes, fstab)) return { root: volume, fstab };
      found ??= { root: volume, fstab };
      await this.#unmountLast();
    }
    if (found === undefined) {
      const what = notes.length === 0 ? "no disk was given" : notes.join("; ");
      throw new BackupError(
        "MOUNT_FAILED",
        `none of its file systems has an etc/fstab, so its root is unknown (${what}); back up its disks as images`,
      );
    }
    await mountVolume(found.root, this.#step([]));
    return found;
  }

  /** Its fstab, and it stays mounted; undefined when it has none. */
  async #lookInto(volume: Volume, notes: string[]): Promise<string | undefined> {
    if (volume.content.type === "other") {
      notes.push(described(volume));
      return undefined;
    }
    try {
      await mountVolume(volume, this.#step([]));
    } catch (error) {
      if (codeOf(error) !== "MOUNT_FAILED" || this.#limits().timeLimitMs === 0) throw error;
      notes.push(describeError(error));
      return undefined;
    }
    const text = readFstab(this.#root);
    if (text !== undefined) return text;
    notes.push(`${described(volume)}: no etc/fstab`);
    await this.#unmountLast();
    return undefined;
  }

  async #unmountLast(): Promise<void> {
    await runMountProgram(["umount", "-n", "-i", "-c", "--", this.#root], this.#limits());
  }

  /** Parents first. A volume is mounted once, and a place is used once. */
  #plan(root: Volume, volumes: readonly Volume[], fstab: Fstab): Planned[] {
    const finder = new VolumeFinder(volumes, fstab);
    const planned: Planned[] = [];
    const places = new Set([""]);
    const used = new Set([root]);
    for (const entry of fstab.entries) {
      const volume = finder.find(entry.device);
      const place = entry.place.join("/");
      if (place === "") {
        if (volume !== root) this.#tell(`Warning: etc/fstab says that / is ${displayPath(entry.device)}`);
      } else if (volume === undefined) this.#leaveOut(entry, "none of the disks has it");
      else if (used.has(volume) && volume.content.type === "btrfs")
        this.#leaveOut(entry, "of a btrfs the default subvolume alone is mounted, once");
      else if (used.has(volume))
        this.#tell(`${pointOf(entry)}: ${described(volume)} is mounted elsewhere already`);
      else if (places.has(place))
        this.#tell(
          `Warning: ${pointOf(entry)} is named twice in etc/fstab; ${described(volume)} is left out`,
        );
      else {
        places.add(place);
        used.add(volume);
        planned.push({ volume, entry });
      }
    }
    return planned.sort((a, b) => a.entry.place.length - b.entry.place.length);
  }

  async #mountPlanned(volume: Volume, entry: FstabEntry): Promise<boolean> {
    const { content } = volume;
    if (content.type === "other") {
      const text = `${described(volume)} is not a file system that is mounted here`;
      if (content.isKnown) this.#tell(`Warning: ${pointOf(entry)} is left out: ${text}`);
      else this.#leaveOut(entry, described(volume));
      return false;
    }
    try {
      await mountVolume(volume, this.#step(entry.place));
      this.#tell(`${pointOf(entry)} is ${described(volume)}${this.#journalNote(volume)}`);
      return true;
    } catch (error) {
      const code = codeOf(error);
      if (code === "INTERRUPTED") throw error;
      const isPlace = code === "ENOENT" || code === "ELOOP" || code === "ENOTDIR";
      this.#leaveOut(
        entry,
        isPlace
          ? "the mount point is no directory of the guest (symlinks are not followed)"
          : describeError(error),
      );
      return false;
    }
  }

  /** @throws BackupError MOUNT_FAILED where the machine is to be mounted whole */
  #leaveOut(entry: FstabEntry, why: string): void {
    const text = `etc/fstab, line ${entry.line}: ${displayPath(entry.device)} on ${pointOf(entry)}: ${why}`;
    if (!entry.isOptional && !this.#settings.incomplete)
      throw new BackupError("MOUNT_FAILED", `${text} (Incomplete: report mounts the rest)`);
    this.#tell(`Warning: ${text}`);
  }

  #journalNote({ content }: Volume): string {
    if (content.type === "other" || content.hasJournalToReplay === false) return "";
    if (isReplayed(content, this.#journal)) {
      const isOdd =
        this.#journal === "frozen" ? " (Warning: it was not empty, so the freeze has not held it)" : "";
      return `, its journal is replayed${isOdd}`;
    }
    const isLost = this.#journal === "skip" && content.hasJournalToReplay === true;
    return `, its journal is not replayed${isLost ? " (Warning: its last changes are missing)" : ""}`;
  }

  #step(place: readonly string[]): MountStep {
    return { root: this.#root, place, journal: this.#journal, ...this.#limits() };
  }

  #limits(): { timeLimitMs: number; signal: AbortSignal | undefined } {
    return { timeLimitMs: Math.max(0, this.#endsAtMs - monotonicMs()), signal: this.#tools.signal };
  }

  #tell(line: string): void {
    this.#told++;
    if (this.#told <= MAX_LINES) this.#tools.report(`${this.#vm}: ${line}`);
    else if (this.#told === MAX_LINES + 1)
      this.#tools.report(`${this.#vm}: and more, which is left out here`);
  }
}

function namesItself(volume: Volume, volumes: readonly Volume[], fstab: Fstab): boolean {
  const entry = fstab.entries.find(({ place }) => place.length === 0);
  return entry !== undefined && new VolumeFinder(volumes, fstab).find(entry.device) === volume;
}

/** `disk 1 partition 2 (ext)` */
function described(volume: Volume): string {
  return `${volume.name} (${contentName(volume)})`;
}

function pointOf({ place }: FstabEntry): string {
  return displayPath(`/${place.join("/")}`);
}
