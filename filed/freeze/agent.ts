/** The QEMU guest agent: freezes the file systems of a guest, and thaws them. */
import { AgentRefusal, type AskAgent, agentFailed as failed, withAgent } from "./ask-agent.js";
import { hostTrouble } from "./host-check.js";
import type { Held, Released, StepTools } from "./settings.js";

export interface AgentTarget {
  readonly socket: string;
  readonly fileSystems: readonly string[];
}

/** Freezes; `arm` is called before anything is changed. @throws BackupError FREEZE_FAILED */
export async function freezeByAgent(target: AgentTarget, tools: StepTools, arm: () => void): Promise<Held> {
  return withAgent(target.socket, tools, async (ask) => {
    if ((await ask("guest-fsfreeze-status")) !== "thawed")
      throw failed("its file systems are frozen already, by somebody else; that is left alone");
    const trouble = await hostTrouble(ask, target.fileSystems);
    if (trouble !== undefined) throw failed(trouble);
    const whole = await namesAll(ask, target.fileSystems);
    arm();
    const frozen = count(
      target.fileSystems.length === 0
        ? await ask("guest-fsfreeze-freeze")
        : await ask("guest-fsfreeze-freeze-list", { mountpoints: target.fileSystems }),
      "guest-fsfreeze-freeze",
    );
    const status = await ask("guest-fsfreeze-status");
    if (frozen === 0 || status !== "frozen")
      throw failed(
        `it says ${frozen} file systems are frozen, and that the guest's state is "${String(status)}"`,
      );
    return { how: "guest", frozen, whole, text: `the guest agent has frozen ${frozen} file systems` };
  });
}

/** Thaws everything. @throws BackupError FREEZE_FAILED when it did not say that it has */
export async function thawByAgent(socket: string, tools: StepTools): Promise<Released> {
  return withAgent(socket, tools, async (ask) => {
    // One that has refused to freeze may refuse this too; its state says what there is to do.
    const thawed = await ask("guest-fsfreeze-thaw").catch((error) => {
      if (error instanceof AgentRefusal) return 0;
      throw error;
    });
    const status = await ask("guest-fsfreeze-status");
    if (status !== "thawed") throw failed(`the guest's state is "${String(status)}" after the thaw`);
    const number = count(thawed, "guest-fsfreeze-thaw");
    return { thawed: number, kept: number > 0, text: `the guest agent has thawed ${number} file systems` };
  });
}

/** True when nothing of the guest that lies on a disk is left out. Guests that cannot be asked may have more. */
async function namesAll(ask: AskAgent, fileSystems: readonly string[]): Promise<boolean> {
  if (fileSystems.length === 0) return true;
  try {
    const all = await ask("guest-get-fsinfo");
    if (!Array.isArray(all) || all.length === 0) return false;
    return all.every(
      (each: { mountpoint?: unknown; disk?: unknown } | null) =>
        (Array.isArray(each?.disk) && each.disk.length === 0) ||
        fileSystems.includes(String(each?.mountpoint)),
    );
  } catch (error) {
    if (error instanceof AgentRefusal) return false;
    throw error;
  }
}

function count(value: unknown, command: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw failed(`what it answers to ${command} is no number`);
}
