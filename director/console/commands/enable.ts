/** `enable`, `disable`: switch jobs, a client, schedule or storage until the director starts again. */
import type { Command, CommandContext } from "../context.js";
import type { SwitchKind } from "../port.js";
import { granted, RESOURCE, selectResource } from "../prompts.js";

function command(name: "enable" | "disable", on: boolean): Command {
  return {
    name,
    summary: on
      ? "Enable jobs, a client, schedule or storage"
      : "Disable jobs, a client, schedule or storage",
    usage: [`${name} job=NAME | client=NAME | schedule=NAME | storage=NAME | jobs all`],
    keywords: ["job=", "client=", "schedule=", "storage=", "jobs", "all"],
    run: (context) => set(context, on),
  };
}

/** As in Bacula a job comes alone; client, schedule and storage may be named together. */
async function set(context: CommandContext, on: boolean): Promise<void> {
  const { config, args } = context;
  if (args.has("job")) return await setOne(context, "job", config.jobs.keys(), on);
  if (args.has("jobs") && args.has("all")) return await setAllJobs(context, on);
  const kinds = [
    ["client", config.clients.keys()],
    ["schedule", config.schedules.keys()],
    ["storage", config.storages.keys()],
  ] as const;
  const named = kinds.filter(([kind]) => args.has(kind));
  if (named.length === 0)
    await context.fail("You must enter one of the following keywords: job, client, schedule, or storage.");
  for (const [kind, names] of named) await setOne(context, kind, names, on);
}

async function setOne(
  context: CommandContext,
  kind: SwitchKind,
  names: Iterable<string>,
  on: boolean,
): Promise<void> {
  const { director, args } = context;
  // Asked for, it is one that is not so yet.
  const isOpen = (name: string): boolean =>
    args.value(kind) !== undefined || director.isEnabled(kind, name) !== on;
  const name = await selectResource(context, RESOURCE[kind], [...names].filter(isOpen));
  director.setEnabled(kind, name, on);
  context.data[kind] = name;
  context.data.enabled = on;
  await context.say(`${RESOURCE[kind].label} "${name}" ${on ? "enabled" : "disabled"}`);
}

/** What the configuration disables stays so: it has to be named. */
async function setAllJobs(context: CommandContext, on: boolean): Promise<void> {
  const { director, config } = context;
  context.data.enabled = on;
  for (const name of granted(context, RESOURCE.job, config.jobs.keys())) {
    if (director.isEnabled("job", name) === on) continue;
    if (on && config.jobs.get(name)?.enabled === false) {
      const why = "because it is explicitly disabled in configuration";
      await context.say(`Job ${name} was not enabled ${why}.`);
      continue;
    }
    director.setEnabled("job", name, on);
    context.append("jobs", name);
    await context.say(`Job "${name}" ${on ? "enabled" : "disabled"}`);
  }
}

export const enable = command("enable", true);
export const disable = command("disable", false);
