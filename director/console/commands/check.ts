/** `check`: a storage daemon's catalog against its volumes, while it goes on working. */

import { displayPath } from "../../../common/format/path.js";
import { withCommas } from "../../../common/units.js";
import type { CheckEvent__Output } from "../../../proto/generated/basalt/v1/CheckEvent.js";
import type { CheckFinding__Output } from "../../../proto/generated/basalt/v1/CheckFinding.js";
import { callStorage } from "../catalog.js";
import type { Command, CommandContext, Data } from "../context.js";
import { RESOURCE, selectResource } from "../prompts.js";

/** A volume of some terabytes takes hours. */
const TIMEOUT_MS = 7 * 24 * 3_600_000;
const MAX_JOBS = 20;

export const check: Command = {
  name: "check",
  summary: "Compare a storage daemon's catalog with its volumes",
  usage: ["check storage=NAME [volume=NAME | pool=NAME] [quick] [repair] [limit=BYTES]"],
  keywords: ["storage=", "volume=", "pool=", "quick", "repair", "limit="],
  async run(context) {
    await context.useCatalog();
    const { args } = context;
    const storage = await selectResource(context, RESOURCE.storage, context.config.storages.keys());
    const limit = args.value("limit") ?? "0";
    if (!/^\d{1,15}$/.test(limit))
      return void (await context.fail(`"${limit}" is no number of bytes a second.`));
    const request = {
      volume: args.value("volume") ?? "",
      pool: args.value("pool") ?? "",
      repair: args.has("repair"),
      quick: args.has("quick"),
      bytesPerSec: Number(limit),
    };
    const caller = await callStorage(context, storage);
    const options = { signal: context.signal, timeoutMs: TIMEOUT_MS };
    const events = caller.stream<CheckEvent__Output>("Storaged", "Check", request, options);
    const findings: Data[] = [];
    for await (const event of events) {
      if (event.event === "finding" && event.finding) {
        if (findings.length < 1000) findings.push(shown(event.finding));
        await tell(context, event.finding);
      } else if (event.event === "summary" && event.summary) {
        const { volumes, frames, bytes, findings: found, repaired, jobIds } = event.summary;
        context.data.check = { volumes, frames, bytes, found, repaired, jobIds, findings };
        if (jobIds.length > 0) await context.say(`Jobs with files that are lost: JobId ${jobIds.join(",")}`);
        const read = `${volumes} Volumes, ${withCommas(frames)} frames, ${withCommas(bytes)} bytes checked`;
        await context.say(
          found === 0 ? `${read}: all good` : `${read}: ${found} findings, ${repaired} of them dealt with`,
        );
      }
    }
  },
};

function shown({ kind, volume, offset, text, jobIds, path, repaired }: CheckFinding__Output): Data {
  return { kind, volume, offset, text, jobIds, path: displayPath(path.toString("latin1")), repaired };
}

async function tell(context: CommandContext, finding: CheckFinding__Output): Promise<void> {
  const { kind, volume, offset, text, jobIds, path, repaired } = finding;
  const where = volume === "" ? "" : `Volume "${volume}"${offset > 0 ? `, byte ${offset}` : ""}: `;
  const file = path.length === 0 ? "" : `: ${displayPath(path.toString("latin1"))}`;
  await context.say(`${kind}: ${where}${text}${file}${repaired === "" ? "" : ` (${repaired})`}`);
  if (volume === "" || jobIds.length === 0) return;
  const more = jobIds.length > MAX_JOBS ? ` and ${jobIds.length - MAX_JOBS} more` : "";
  await context.say(`  needed by JobId ${jobIds.slice(0, MAX_JOBS).join(",")}${more}`);
}
