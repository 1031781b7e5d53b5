/** Small commands of Bacula that scripts send; they change nothing here. */
import { expandLabel } from "../../../common/label-format.js";
import { nowMs } from "../../../common/time.js";
import type { Command } from "../context.js";

/** `gui on|off` told Bacula to leave out decorations; `.api` does that here. */
export const gui: Command = {
  name: "gui",
  summary: "Accepted, without effect (see .api)",
  usage: ["gui on", "gui off"],
  keywords: ["on", "off"],
  async run() {},
};

/** Characters of a label format; names of volumes have 127. */
const MAX_FORMAT = 4096;

/** `var TEXT`: what a LabelFormat makes of its variables now, outside of any job. */
export const variable: Command = {
  name: "var",
  summary: "Show what a label format becomes",
  usage: ["var TEXT"],
  keywords: [],
  async run(context) {
    const text = context.args.list.map((arg) => arg.text).join(" ");
    if (text.length > MAX_FORMAT) return void (await context.fail("The label format is too long."));
    const facts = { job: "", jobName: "", jobId: 0, level: "", client: "", pool: "", storage: "" };
    const expanded = expandLabel(text, { ...facts, mediaType: "", numVols: 0, timeMs: nowMs() });
    context.data.text = expanded;
    await context.say(expanded);
  },
};
