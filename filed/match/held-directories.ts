/**
 * Directories that must stay open because files in them are still to be read. Their number is bounded, so that a
 * walk over many small directories cannot use up the process's file descriptors.
 */
import type { DirectoryHandle } from "../sys/stat.js";

const MAX_HELD = 512;

export class HeldDirectories {
  readonly #counts = new Map<DirectoryHandle, number>();
  #waiters: (() => void)[] = [];

  /** Undo with `release`. */
  hold(dir: DirectoryHandle): void {
    const count = this.#counts.get(dir);
    if (count === undefined) dir.retain();
    this.#counts.set(dir, (count ?? 0) + 1);
  }

  release(dir: DirectoryHandle): void {
    const count = this.#counts.get(dir);
    if (count === undefined) return;
    if (count > 1) {
      this.#counts.set(dir, count - 1);
      return;
    }
    this.#counts.delete(dir);
    dir.close();
    this.wake();
  }

  get full(): boolean {
    return this.#counts.size >= MAX_HELD;
  }

  /** Resolves when one was released. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Lets those go on who wait for a change. */
  wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  closeAll(): void {
    for (const dir of this.#counts.keys()) dir.close();
    this.#counts.clear();
    this.wake();
  }
}
