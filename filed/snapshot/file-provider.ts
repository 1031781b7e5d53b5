/** Snapshots of disk images in files: what btrfs and xfs have in common. */
import { existsSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { checkFileRoom, type ImageFile, imagesOf, SNAPSHOTS } from "./images.js";
import { type NotedDisk, SetDirectory, type SetNote } from "./set-directory.js";
import type { FileSettings, SnapshotSettings } from "./settings.js";
import type { Owner, Plan, Provider, SnapshotSet } from "./types.js";

/** One step of making a set: a snapshot of one or several images. */
export interface FileStep {
  readonly disks: readonly NotedDisk[];
  make(directory: string): Promise<void>;
}

export abstract class FileProvider implements Provider {
  protected readonly directory: string;
  readonly #settings: SnapshotSettings;
  readonly #sets: SetDirectory;

  constructor(settings: SnapshotSettings, { directory }: FileSettings) {
    this.#settings = settings;
    this.directory = directory;
    this.#sets = new SetDirectory(join(directory, SNAPSHOTS));
  }

  /** How a machine's images are taken. Nothing is made. @throws BackupError */
  protected abstract steps(images: readonly ImageFile[]): FileStep[];
  /** Removes one thing that a step made, if it is there. @throws BackupError */
  protected abstract drop(path: string): Promise<void>;

  async plan(vm: string): Promise<Plan> {
    const images = imagesOf(vm, this.directory, this.#settings);
    checkFileRoom(vm, this.directory, images, this.#settings);
    const steps = this.steps(images);
    const disks = steps.flatMap((step) => step.disks).sort((a, b) => a.number - b.number);
    const make = async (owner: Owner, signal: AbortSignal | undefined): Promise<void> => {
      this.#sets.claim({ owner, disks });
      for (const step of steps) {
        signal?.throwIfAborted();
        await step.make(this.#sets.of(vm));
      }
    };
    return { disks, instants: steps.length, make };
  }

  async sets(vm?: string): Promise<SnapshotSet[]> {
    return this.#sets.notes(vm).map((note) => ({ owner: note.owner, disks: this.#disks(note) }));
  }

  #disks({ owner, disks }: SetNote): SnapshotSet["disks"] {
    return disks.flatMap(({ number, origin, path, writable }) => {
      const device = isAbsolute(path) ? path : join(this.#sets.of(owner.vm), path);
      if (!existsSync(device)) return [];
      return { number, origin, name: path, device, writable, sizeBytes: statSync(device).size };
    });
  }

  async remove({ owner }: SnapshotSet): Promise<void> {
    const note = this.#sets.notes().find((each) => each.owner.set === owner.set);
    if (note === undefined) return;
    const directory = this.#sets.of(owner.vm);
    for (const name of new Set(note.disks.map(({ path }) => path.split("/")[0]!)))
      await this.drop(join(directory, name));
    this.#sets.release(owner.vm);
  }
}
