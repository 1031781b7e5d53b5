/** One way to hold a machine, whichever it is: hold, and let go. */
import { freezeByAgent, thawByAgent } from "./agent.js";
import { holdByLibvirt, releaseByLibvirt } from "./libvirt.js";
import { continueByQmp, pauseByQmp } from "./qmp.js";
import { startServices, stopServices } from "./services.js";
import type { Grip, Held, Released, StepTools, Undo } from "./settings.js";

/**
 * Holds the machine. Before each step that changes something `arm` gets what undoes all steps so far and that one; it is
 * to be undone also when this throws. @throws BackupError FREEZE_FAILED, COMMAND_INVALID, EXEC_FAILED, HOOK_FORBIDDEN
 */
export function hold(grip: Grip, tools: StepTools, arm: (undo: Undo) => void): Promise<Held> {
  switch (grip.kind) {
    case "agent":
      return freezeByAgent(grip, tools, () => arm({ kind: "agent", socket: grip.socket }));
    case "qmp":
      return pauseByQmp(grip.socket, tools, () => arm({ kind: "qmp", socket: grip.socket }));
    case "libvirt": {
      const { virsh, uri, domain, pause } = grip;
      return holdByLibvirt(grip, tools, () => arm({ kind: "libvirt", virsh, uri, domain, pause }));
    }
    case "command": {
      const { services, directories } = grip;
      const starts: string[] = [];
      return stopServices(services, directories, tools, (start) => {
        starts.push(start);
        arm({ kind: "command", starts: [...starts], directories });
      });
    }
  }
}

/** Lets the machine go. May be called again when it throws. @throws BackupError as `hold` */
export function release(undo: Undo, tools: StepTools): Promise<Released> {
  switch (undo.kind) {
    case "agent":
      return thawByAgent(undo.socket, tools);
    case "qmp":
      return continueByQmp(undo.socket, tools);
    case "libvirt":
      return releaseByLibvirt(undo, tools);
    case "command":
      return startServices(undo.starts, undo.directories, tools);
  }
}
