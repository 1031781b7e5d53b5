/** Follows work of a storage daemon that a console waits for: its messages, and how far it is. */
import { nowMs } from "../../../common/time.js";
import { formatBytes } from "../../../common/units.js";
import type { JobEvent__Output } from "../../../proto/generated/basalt/v1/JobEvent.js";
import type { JobResult__Output } from "../../../proto/generated/basalt/v1/JobResult.js";
import type { Progress__Output } from "../../../proto/generated/basalt/v1/Progress.js";
import { callStorage } from "../catalog.js";
import type { CommandContext } from "../context.js";

/** Time between two lines of progress. */
const PROGRESS_MS = 2000;

/**
 * Calls a streaming method and prints what comes. An interrupt ends the call, and with it the work, which can be
 * begun again at any time. Returns the result, of which `ok` may be false.
 */
export async function follow(
  context: CommandContext,
  storage: string,
  { method, request }: { method: "Rebase" | "Vacuum"; request: object },
): Promise<JobResult__Output | undefined> {
  const caller = await callStorage(context, storage);
  const events = caller.stream<JobEvent__Output>("Storaged", method, request, { signal: context.signal });
  let result: JobResult__Output | undefined;
  let toldMs = nowMs();
  for await (const event of events) {
    if (event.event === "message" && event.message) await context.say(messageText(event.message));
    else if (event.event === "result" && event.result) result = event.result;
    else if (event.event === "progress" && event.progress && nowMs() - toldMs >= PROGRESS_MS) {
      toldMs = nowMs();
      await context.say(progressText(event.progress));
    }
  }
  return result;
}

const LOUD = new Map([
  ["warning", "Warning: "],
  ["error", "Error: "],
  ["fatal", "Fatal error: "],
]);

function messageText({ type, text }: { type: string; text: string }): string {
  return `${LOUD.get(type) ?? ""}${text.trimEnd()}`;
}

/** `Vol-0001: 12.3 MB read, 1.2 MB written` */
function progressText(progress: Progress__Output): string {
  const where = progress.volume === "" ? "" : `${progress.volume}: `;
  const parts = [`${formatBytes(progress.bytesRead)} read`, `${formatBytes(progress.bytesStored)} written`];
  if (progress.files > 0) parts.unshift(`${progress.files} done`);
  return `  ${where}${parts.join(", ")}`;
}
