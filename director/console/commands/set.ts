/** `setdebug`, `setbandwidth`, `trace`: accepted in Bacula's form; each says what it does not do here. */
import { parseSpeed } from "../../../common/units.js";
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
      await context.say(
        `2000 OK ${settings} client=${name} (no effect: set BASALT_LOG_LEVEL for the daemon)`,
      );
    }
    if (director) await context.say(`1000 OK ${settings} (no effect: set BASALT_LOG_LEVEL for the daemon)`);
  },
};

function targets(context: CommandContext, kind: "storage" | "client"): string[] {
  const given = context.args.value(...(kind === "storage" ? ["storage", "sd"] : ["client", "fd"]));
  const known = [...(kind === "storage" ? context.config.storages : context.config.clients).keys()];
  const allowed = known.filter((name) => context.acl.allows(kind, name));
  return given === undefined ? allowed : allowed.filter((name) => name === given);
}

export const setbandwidth: Command = {
  name: "setbandwidth",
  summary: "Accepted, without effect on running jobs (see ReadLimit, MaximumBandwidth)",
  usage: ["setbandwidth limit=SPEED client=NAME | jobid=N | job=NAME"],
  keywords: ["limit=", "client=", "jobid=", "job="],
  async run(context) {
    const text = context.args.value("limit") ?? (await context.ask("Enter new bandwidth limit: "));
    const speed = parseSpeed(text);
    context.data.limit = speed;
    await context.say(
      `2000 OK Limit of ${(speed / 1e6).toFixed(3)} MB/s accepted, without effect in this version: ` +
        "set ReadLimit or MaximumBandwidth in the configuration and reload.",
    );
  },
};

export const trace: Command = {
  name: "trace",
  summary: "Accepted, without effect",
  usage: ["trace on", "trace off"],
  keywords: ["on", "off"],
  async run() {},
};
