/**
 * The drives of one autochanger and what is in them. A volume is loaded for as long as something is being done with it
 * and stays until its drive is needed for another one: so more volumes may be in use than there are drives, and nobody
 * can wait for a drive while holding one. The changer's command runs one at a time.
 */

import { monotonicMs } from "../../common/time.js";
import type { DeviceResource } from "../device-config.js";
import { type ListedSlot, operationText, readList, readNumber, runChanger } from "./changer-command.js";
import { busy, type DriveState, newState, noDrive, type Occupant } from "./drive-state.js";

/** Hears what is done to the changer, in Bacula's words. */
export type Say = (text: string) => void | Promise<void>;

export interface UseOptions {
  /** The drive to load into when the volume is in none. */
  prefer?: string | undefined;
  /** Name of the volume, for the command. */
  volume: string;
  say?: Say | undefined;
}

/** A volume with open files stays in its drive so long after a use: jobs that take turns there do not do so all the time. */
const STAY_MS = 400;
/** Whoever has waited so long for a drive gets one whose volume is still being used, which then waits in its turn. */
const PATIENCE_MS = 5000;

export class Drives {
  readonly #devices: () => readonly DeviceResource[];
  readonly #states = new Map<string, DriveState>();
  readonly #waiters = new Set<() => void>();
  readonly #patienceMs: number;
  #turn: Promise<unknown> = Promise.resolve();

  /** `devices`: the drives by their indexes; asked each time, so that a reload reaches them. */
  constructor(devices: () => readonly DeviceResource[], patienceMs = PATIENCE_MS) {
    this.#devices = devices;
    this.#patienceMs = patienceMs;
  }

  #state(name: string): DriveState {
    let state = this.#states.get(name);
    if (state === undefined) {
      state = newState();
      this.#states.set(name, state);
    }
    return state;
  }

  /** What is known without asking the changer. */
  stateOf(device: string): { slot: number | undefined; unmounted: boolean } {
    const { slot, unmounted } = this.#state(device);
    return { slot, unmounted };
  }

  /** The drive that a slot's volume is in, as far as is known. */
  driveWith(slot: number): DeviceResource | undefined {
    return this.#devices().find(({ name }) => this.#states.get(name)?.slot === slot);
  }

  /**
   * Does `work` while the volume of a slot is in a drive, loading it first if need be. It must not use another slot.
   * @throws BackupError VOLUME_NOT_LOADED, and what `work` throws
   */
  async use<T>(
    slot: number,
    options: UseOptions,
    work: (device: DeviceResource, enter: (occupant: Occupant) => void) => Promise<T>,
  ): Promise<T> {
    const device = await this.#take(slot, options);
    const state = this.#state(device.name);
    try {
      return await work(device, (occupant) => void state.occupants.add(occupant));
    } finally {
      state.uses--;
      state.usedAtMs = monotonicMs();
      this.#wake();
    }
  }

  /** It has closed its file by itself. */
  leave(occupant: Occupant): void {
    for (const { occupants } of this.#states.values()) occupants.delete(occupant);
  }

  /** A drive with the slot's volume in it, counted as used. */
  async #take(slot: number, options: UseOptions): Promise<DeviceResource> {
    const since = monotonicMs();
    let claimed: DriveState | undefined;
    try {
      for (;;) {
        const ready = this.#taken(slot);
        if (ready !== undefined) return ready;
        const changed = this.#change();
        const taken = await this.#inTurn(() => this.#load(slot, options, claimed));
        if (taken !== undefined) return taken;
        if (this.#devices().every(({ name, enabled }) => !enabled || this.#state(name).unmounted))
          throw noDrive(slot);
        if (monotonicMs() - since >= this.#patienceMs) claimed ??= this.#claim(options.prefer);
        await changed;
      }
    } finally {
      if (claimed !== undefined) claimed.yields = false;
      this.#wake();
    }
  }

  /** In turn: the drive that the slot's volume is in or was loaded into, counted as used; undefined: none is free. */
  async #load(
    slot: number,
    options: UseOptions,
    claimed: DriveState | undefined,
  ): Promise<DeviceResource | undefined> {
    await this.#askAll(options.say);
    const there = this.#taken(slot);
    if (there !== undefined) return there;
    const device = this.#choose(options.prefer, claimed);
    if (device === undefined) return undefined;
    await this.#moving(device, () => this.#exchange(device, slot, options));
    this.#state(device.name).uses++;
    return device;
  }

  /** Lets nothing new begin in a drive that is in use; undefined: somebody else waits for each. */
  #claim(prefer: string | undefined): DriveState | undefined {
    const usable = this.#devices().filter(({ name, enabled }) => {
      const { unmounted, yields } = this.#state(name);
      return enabled && !unmounted && !yields;
    });
    const device = usable.find(({ name }) => name === prefer) ?? usable[0];
    if (device === undefined) return undefined;
    const state = this.#state(device.name);
    state.yields = true;
    return state;
  }

  /** The drive that has the slot's volume, counted as used; undefined: none that stays as it is. */
  #taken(slot: number): DeviceResource | undefined {
    const there = this.driveWith(slot);
    const state = there && this.#state(there.name);
    if (state === undefined || state.moving || state.yields) return undefined;
    state.uses++;
    return there;
  }

  /** Keeps others from beginning anything in a drive meanwhile. */
  async #moving<T>(device: DeviceResource, work: () => Promise<T>): Promise<T> {
    const state = this.#state(device.name);
    state.moving = true;
    try {
      return await work();
    } finally {
      state.moving = false;
      this.#wake();
    }
  }

  async #exchange(device: DeviceResource, slot: number, options: UseOptions): Promise<void> {
    await this.#empty(device, options);
    await this.#run("load", device, slot, options);
    this.#state(device.name).slot = slot;
  }

  /** Something may have become free: the end of a use, a mount, or of the time that a volume stays. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiters.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, STAY_MS);
      this.#waiters.add(wake);
    });
  }

  /** A drive that nothing is being done in: the preferred one, an empty one, the one not used for longest. */
  #choose(prefer: string | undefined, claimed: DriveState | undefined): DeviceResource | undefined {
    const rank = ({ name }: DeviceResource): number => {
      if (name === prefer) return -2;
      return this.#state(name).slot === 0 ? -1 : this.#state(name).usedAtMs;
    };
    const idle = this.#devices().filter(({ name, enabled }) => {
      const state = this.#state(name);
      const { uses, unmounted, occupants, usedAtMs } = state;
      const stays = state.yields || (occupants.size > 0 && monotonicMs() - usedAtMs < STAY_MS);
      return enabled && uses === 0 && !unmounted && (state === claimed || !stays);
    });
    return idle.sort((a, b) => rank(a) - rank(b))[0];
  }

  /** Asks the changer what is in drives of which that is not known. */
  async #askAll(say?: Say): Promise<void> {
    for (const device of this.#devices()) {
      const state = this.#state(device.name);
      if (state.slot !== undefined || !device.enabled) continue;
      const lines = await this.#run("loaded", device, 0, { volume: "", say });
      state.slot = readNumber(lines) ?? 0;
      const result = state.slot === 0 ? "nothing loaded" : `Slot ${state.slot}`;
      await say?.(`3302 Autochanger "loaded? drive ${device.drive?.index ?? 0}", result is ${result}.`);
    }
  }

  /** Takes the volume out of a drive that nothing is being done in. */
  async #empty(device: DeviceResource, options: UseOptions): Promise<void> {
    const state = this.#state(device.name);
    for (const occupant of [...state.occupants]) await occupant.leave();
    state.occupants.clear();
    if (state.slot === undefined || state.slot === 0) return;
    await this.#run("unload", device, state.slot, options);
    state.slot = 0;
  }

  async #run(
    operation: "load" | "unload" | "loaded",
    device: DeviceResource,
    slot: number,
    { volume, say }: UseOptions,
  ): Promise<string[]> {
    const facts = { device, slot, volume };
    const text = operationText(operation, facts);
    const number = { load: "3304", unload: "3307", loaded: "3301" }[operation];
    await say?.(`${number} Issuing autochanger "${text}" command.`);
    try {
      const lines = await runChanger(operation, facts);
      if (operation === "load") await say?.(`3305 Autochanger "${text}", status is OK.`);
      return lines;
    } catch (error) {
      // Whatever is in the drive now: the changer is asked before it is used again.
      this.#state(device.name).slot = undefined;
      throw error;
    }
  }

  /** Loads a slot into this drive, whatever was in it. @throws BackupError VOLUME_NOT_LOADED, DEVICE_BUSY */
  mount(device: DeviceResource, slot: number, options: UseOptions): Promise<void> {
    return this.#inTurn(async () => {
      const state = this.#state(device.name);
      state.unmounted = false;
      this.#wake();
      if (slot === 0) return;
      await this.#askAll(options.say);
      const there = this.driveWith(slot);
      if (there?.name === device.name) return;
      for (const each of [device, ...(there === undefined ? [] : [there])]) {
        if (this.#state(each.name).uses > 0) throw busy(each.name);
      }
      if (there !== undefined) await this.#moving(there, () => this.#empty(there, options));
      await this.#moving(device, () => this.#exchange(device, slot, options));
    });
  }

  /** Empties a drive and keeps it so until it is mounted; false when it was so already. @throws as `mount` */
  unmount(device: DeviceResource, options: UseOptions): Promise<boolean> {
    return this.#inTurn(async () => {
      const state = this.#state(device.name);
      if (state.unmounted) return false;
      await this.#askAll(options.say);
      if (state.uses > 0) throw busy(device.name);
      await this.#moving(device, () => this.#empty(device, options));
      state.unmounted = true;
      return true;
    });
  }

  /** Empties a drive; false when nothing was in it. @throws as `mount` */
  release(device: DeviceResource, options: UseOptions): Promise<boolean> {
    return this.#inTurn(async () => {
      const state = this.#state(device.name);
      await this.#askAll(options.say);
      if (state.slot === 0) return false;
      if (state.uses > 0) throw busy(device.name);
      await this.#moving(device, () => this.#empty(device, options));
      return true;
    });
  }

  /** What `list` says, and how many slots there are. @throws BackupError VOLUME_NOT_LOADED */
  list(device: DeviceResource, say?: Say): Promise<{ slots: number; listed: ListedSlot[] }> {
    return this.#inTurn(async () => {
      const facts = { device, slot: 0, volume: "" };
      await say?.('3306 Issuing autochanger "slots" command.');
      const slots = readNumber(await runChanger("slots", facts));
      await say?.('3306 Issuing autochanger "list" command.');
      const listed = readList(await runChanger("list", facts));
      return { slots: slots ?? listed.length, listed };
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake();
  }
}
