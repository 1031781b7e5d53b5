/** `setdebug`, `trace`: accepted in Bacula's form; each says what it does not do here. */
import type { Command, CommandContext } from "../context.js";

const TARGETS = ["client", "fd", "storage", "sd", "dir", "director", "all"];

export const setdebug: Command = {
  name: "setdebug",
  summary: "Accepted, without effect (daemons log by BASALT_LOG_LEVEL)",
  usage: ["setdebug level=N [trace=0|1] client=NAME | storage=NAME | dir | all"],
  keywords: ["level=", "trace=", "hangup=", "client=", "storage=", "director", "all"],
  async run(context) {
    const { args } = context;
    const level = args.value("level") ?? (await context.ask("Enter new debug level: "));
    if (!/^\d{1,9}$/.test(level))
      return void (await context.fail(`Expected a positive integer, got: ${level}`));
    const settings = `setdebug=${level} trace=${args.value("trace") ?? "0"} hangup=${args.value("hangup") ?? "0"}`;
    const target = args.find(...TARGETS);
    const all = target === undefined || target.key === "all";
    const director = all || target.key.startsWith("dir");
    for (const name of all || target.key === "storage" || target.key === "sd"
      ? targets(context, "storage")
      : []) {
      await context.say(
        `3000 OK ${settings} storage=${name} (no effect: set BASALT_LOG_LEVEL for the daemon)`,
      );
    }
    for (const name of all || target.key === "client" || target.key === "fd"
      ? targets(context, "client")
      : []) {
      await hangUp(context, name);
      await context.say(
        `2000 OK ${settings} client=${name} (no effect: set BASALT_LOG_LEVEL for the daemon)`,
      );
    }
    if (director) await context.say(`1000 OK ${settings} (no effect: set BASALT_LOG_LEVEL for the daemon)`);
  },
};

/** The next backup of the client breaks off after so many files, or (negative) kilobytes. */
async function hangUp(context: CommandContext, client: string): Promise<void> {
  const text = context.args.value("hangup");
  if (text === undefined) return;
  if (!/^-?\d{1,12}$/.test(text)) return await context.fail(`Expected an integer, got: ${text}`);
  const { daemons } = context.director;
  const filed = await daemons.filed(client, { signal: context.signal });
  await filed.unary("Filed", "SetDebug", { hangup: Number(text) }, { timeoutMs: 10_000 });
}

function targets(context: CommandContext, kind: "storage" | "client"): string[] {
  const given = context.args.value(...(kind === "storage" ? ["storage", "sd"] : ["client", "fd"]));
  const known = [...(kind === "storage" ? context.config.storages : context.config.clients).keys()];
  const allowed = known.filter((name) => context.acl.allows(kind, name));
  return given === undefined ? allowed : allowed.filter((name) => name === given);
}

export const trace: Command = {
  name: "trace",
  summary: "Accepted, without effect",
  usage: ["trace on", "trace off"],
  keywords: ["on", "off"],
  async run() {},
};
