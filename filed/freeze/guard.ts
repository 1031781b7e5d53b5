/**
 * The near end of the guard. Should the guard itself be killed, what it held is let go from here: each of the two
 * processes is there for the other's death.
 */
import type { ChildProcess } from "node:child_process";
import { BackupError, describeError } from "../../common/errors.js";
import { startModule } from "../../common/exec.js";
import { programEnvironment } from "../hooks/hooks.js";
import type { Early, FromGuard, HoldLimits, ToGuard } from "./guard-messages.js";
import { forgetHeld } from "./held-notes.js";
import { letGo } from "./let-go.js";
import type { Grip, Held, Released, Undo } from "./settings.js";

/** How a machine was let go. */
export interface LetGo {
  readonly released: Released;
  /** Before that was asked for: since the time was over, or since the guard was ended. */
  readonly early: Early | undefined;
}

/** Beyond its own limits a guard is given this long before it counts as hung. */
const PATIENCE_MS = 10_000;
/** More steps than are taken one after the other to hold a machine or to let it go. */
const STEPS = 20;

export class Guard {
  readonly #child: ChildProcess;
  readonly #limits: HoldLimits;
  readonly #ended: Promise<void>;
  #undo: Undo | undefined;
  #letGo: LetGo | undefined;
  #trouble: FromGuard | undefined;
  #take: (message: FromGuard | "ended") => void = () => undefined;

  private constructor(limits: HoldLimits) {
    this.#limits = limits;
    this.#child = startModule(new URL("./guard-main.js", import.meta.url), [], programEnvironment(), {
      detached: true,
    });
    this.#child.on("message", (message: FromGuard) => this.#note(message));
    this.#child.on("error", () => undefined);
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", () => resolve());
      this.#child.once("error", () => resolve());
    });
    void this.#ended.then(() => this.#take("ended"));
  }

  /** Whoever starts it closes it. */
  static start(limits: HoldLimits): Guard {
    return new Guard(limits);
  }

  /**
   * Holds the machine.
   * @throws BackupError FREEZE_FAILED when it is not held and nothing is left to undo; FREEZE_STUCK when it may still be
   */
  async hold(grip: Grip): Promise<Held> {
    const { timeoutMs, stepTimeoutMs } = this.#limits;
    const message = await this.#ask(
      { type: "hold", grip, ...this.#limits },
      timeoutMs + STEPS * stepTimeoutMs,
    );
    if (message === "ended") {
      if (this.#undo !== undefined) await this.#letGoHere();
      throw new BackupError("FREEZE_FAILED", "the process that was to hold the machine has died");
    }
    if (message.type === "held") return message.held;
    throw message.type === "failed" ? new BackupError("FREEZE_FAILED", message.why) : this.#stuck(message);
  }

  /** Lets the machine go, if it has not been. @throws BackupError FREEZE_STUCK */
  async release(): Promise<LetGo> {
    if (this.#letGo !== undefined) return this.#letGo;
    if (this.#trouble !== undefined) throw this.#stuck(this.#trouble);
    const message = await this.#ask({ type: "release" }, STEPS * this.#limits.stepTimeoutMs);
    if (this.#letGo !== undefined) return this.#letGo;
    if (message !== "ended") throw this.#stuck(message);
    if (this.#undo === undefined) return { released: { thawed: 0, kept: true, text: "" }, early: undefined };
    return { released: await this.#letGoHere(), early: undefined };
  }

  /** The guard ends, once it has let go what it holds. Idempotent. */
  close(): void {
    if (this.#child.connected) this.#child.disconnect();
    this.#child.unref();
  }

  #note(message: FromGuard): void {
    if (message.type === "armed") {
      this.#undo = message.undo;
      return;
    }
    if (message.type === "failed" || message.type === "released") this.#undo = undefined;
    if (message.type === "released") this.#letGo = message;
    if (message.type === "trouble") this.#trouble = message;
    this.#take(message);
  }

  /** Lets the machine go as soon as may be; whoever waits for it to be held hears that it failed. */
  giveUp(): void {
    if (this.#child.connected) this.#child.send({ type: "release" } satisfies ToGuard, () => undefined);
  }

  /** Sends, and waits for what is not only a note; a guard that says nothing in time is killed. */
  async #ask(message: ToGuard, limitMs: number): Promise<FromGuard | "ended"> {
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<FromGuard | "ended">((resolve) => {
      this.#take = resolve;
      void this.#ended.then(() => resolve("ended"));
      timer = setTimeout(() => this.#child.kill("SIGKILL"), Math.min(limitMs + PATIENCE_MS, 2 ** 31 - 1));
      if (this.#child.connected) this.#child.send(message, () => undefined);
    });
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
      this.#take = () => undefined;
    }
  }

  async #letGoHere(): Promise<Released> {
    try {
      const released = await letGo(this.#undo!, this.#limits, { limitMs: this.#limits.stepTimeoutMs });
      this.#undo = undefined;
      const { workingDirectory } = this.#limits;
      if (workingDirectory !== undefined) forgetHeld(workingDirectory, this.#child.pid ?? 0);
      return released;
    } catch (error) {
      throw this.#stuck({ why: describeError(error) });
    }
  }

  #stuck(message: object): BackupError {
    const why = "why" in message ? `: ${message.why}` : "";
    const { vm } = this.#limits;
    const hint = `look at ${vm} at once; where its guest agent is dead, only a restart of the agent or of ${vm} helps`;
    return new BackupError(
      "FREEZE_STUCK",
      `${vm} may still be held, it could not be let go so far${why}; ${hint}`,
    );
  }
}
