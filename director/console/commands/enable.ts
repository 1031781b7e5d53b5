/** `enable`, `disable`: switch a job, client, schedule or storage until the director starts again. */
import type { Command, CommandContext } from "../context.js";
import type { SwitchKind } from "../port.js";
import { RESOURCE, selectResource } from "../prompts.js";

function command(name: "enable" | "disable", on: boolean): Command {
  return {
    name,
    summary: on ? "Enable a job, client, schedule or storage" : "Disable a job, client, schedule or storage",
    usage: [`${name} job=NAME | client=NAME | schedule=NAME | storage=NAME`],
    keywords: ["job=", "client=", "schedule=", "storage="],
    run: (context) => set(context, on),
  };
}

async function set(context: CommandContext, on: boolean): Promise<void> {
  const { config, args } = context;
  const kinds: readonly [SwitchKind, string, Iterable<string>][] = [
    ["client", "Client", config.clients.keys()],
    ["schedule", "Schedule", config.schedules.keys()],
    ["storage", "Storage", config.storages.keys()],
    ["job", "Job", config.jobs.keys()],
  ];
  // Without a keyword a job is asked for, as Bacula does.
  const [kind, label, names] = kinds.find(([key]) => args.has(key)) ?? kinds[3]!;
  const name = await selectResource(context, RESOURCE[kind], names);
  context.director.setEnabled(kind, name, on);
  context.data[kind] = name;
  context.data.enabled = on;
  await context.say(`${label} "${name}" ${on ? "enabled" : "disabled"}`);
}

export const enable = command("enable", true);
export const disable = command("disable", false);
