/** `.putfile`: takes in the file that a console's `@putfile` sends, for `file=<KEY` and `bootstrap=KEY` of later restores. */
import { BackupError, describeError } from "../../../common/errors.js";
import { Abandoned, type Command } from "../context.js";

/** Of a console that names none, as in Bacula. */
const DEFAULT_KEY = "putfile";

export const dotPutfile: Command = {
  name: ".putfile",
  summary: "What @putfile sends",
  usage: ["@putfile KEY FILE"],
  keywords: ["key="],
  async run(context) {
    const key = context.args.value("key") ?? DEFAULT_KEY;
    const { sent } = context.state;
    try {
      if (sent === undefined) throw new BackupError("PUTFILE_INVALID", "only a console can send a file");
      if (!/^[A-Za-z0-9]{1,16}$/.test(key))
        throw new BackupError("PUTFILE_INVALID", "Invalid key name for putfile command");
      await sent.take(key, () => context.askRaw(""));
    } catch (error) {
      if (error instanceof Abandoned) throw error;
      await context.fail(`${describeError(error)}\nERROR`);
    }
    await context.say("OK");
  },
};
