/** `setdebug`: how much a daemon logs, its trace file, and breaks for tests; `trace` is accepted as in Bacula. */
import { describeError } from "../../../common/errors.js";
import { type DebugOrder, orderDebug } from "../../../common/trace.js";
import { storageDaemons } from "../catalog.js";
import type { Command, CommandContext } from "../context.js";

const TARGETS = ["client", "fd", "storage", "sd", "dir", "director", "all"];
const TIMEOUT = { timeoutMs: 10_000 };

export const setdebug: Command = {
  name: "setdebug",
  summary: "Set how much daemons log, and whether to NAME.trace",
  usage: ["setdebug level=N [trace=0|1] [hangup=N] client[=NAME] | storage[=NAME] | dir | all"],
  keywords: ["level=", "trace=", "hangup=", "client=", "storage=", "director", "all"],
  async run(context) {
    const { args } = context;
    const level = args.value("level") ?? (await context.ask("Enter new debug level: "));
    if (!/^\d{1,9}$/.test(level))
      return void (await context.fail(`Expected a positive integer, got: ${level}`));
    const trace = args.value("trace");
    const hangup = args.value("hangup");
    if (hangup !== undefined && !/^-?\d{1,12}$/.test(hangup))
      return void (await context.fail(`Expected an integer, got: ${hangup}`));
    const order = { level: Number(level), ...(trace === undefined ? {} : { trace: isOn(trace) }) };
    const settings = `setdebug=${level} trace=${trace ?? "0"} hangup=${hangup ?? "0"}`;
    const target = args.find(...TARGETS);
    const all = target === undefined || target.key === "all";
    if (all || target.key === "storage" || target.key === "sd")
      for (const name of await targets(context, "storage"))
        await told(context, `3000 OK ${settings} storage=${name}`, () => storageOrder(context, name, order));
    if (all || target.key === "client" || target.key === "fd")
      for (const name of await targets(context, "client")) {
        const whole = { ...order, ...(hangup === undefined ? {} : { hangup: Number(hangup) }) };
        await told(context, `2000 OK ${settings} client=${name}`, () => clientOrder(context, name, whole));
      }
    if (all || target.key.startsWith("dir"))
      await told(context, `1000 OK ${settings}`, async () =>
        orderDebug({ ...context.whole.config.director, bacula: context.whole.config.bacula }, order),
      );
  },
};

function isOn(word: string): boolean {
  return /^(?:[1-9]\d*|on|yes|true)$/i.test(word);
}

/** The answer once it is carried out; a daemon that is away is told of, and the others follow. */
async function told(context: CommandContext, answer: string, carryOut: () => Promise<void>): Promise<void> {
  try {
    await carryOut();
    await context.say(answer);
  } catch (error) {
    if (context.signal.aborted) throw error;
    await context.say(describeError(error));
  }
}

async function storageOrder({ director, signal }: CommandContext, name: string, order: DebugOrder) {
  const storaged = await director.daemons.storaged(name, { signal });
  await storaged.unary("Storaged", "SetDebug", order, TIMEOUT);
}

/** `hangup`: the next backup of the client breaks off after so many files, or (negative) kilobytes. */
async function clientOrder(
  { director, signal }: CommandContext,
  name: string,
  order: DebugOrder & { hangup?: number },
) {
  const filed = await director.daemons.filed(name, { signal });
  await filed.unary("Filed", "SetDebug", order, TIMEOUT);
}

/** The one that is named; else all clients, or a Storage resource of each daemon. */
async function targets(context: CommandContext, kind: "storage" | "client"): Promise<string[]> {
  const given = context.args.value(...(kind === "storage" ? ["storage", "sd"] : ["client", "fd"]));
  const { config, acl } = context;
  if (given === undefined)
    return kind === "storage"
      ? storageDaemons(context)
      : [...config.clients.keys()].filter((name) => acl.allows(kind, name));
  const known = kind === "storage" ? config.storages : config.clients;
  if (known.has(given) && acl.allows(kind, given)) return [given];
  await context.say(`${kind === "storage" ? "Storage" : "Client"} "${given}" not found`);
  return [];
}

export const trace: Command = {
  name: "trace",
  summary: "Accepted, without effect",
  usage: ["trace on", "trace off"],
  keywords: ["on", "off"],
  async run() {},
};
