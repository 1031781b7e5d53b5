/**
 * A program that holds a machine by the settings in its first argument, noted in the directory of its second one if there is
 * one, and then does nothing; tests kill it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { whileFrozen } from "./freeze.js";

const settings = JSON.parse(process.argv[2] ?? "{}");
await whileFrozen(
  "vm-1",
  settings,
  { report: () => undefined, workingDirectory: process.argv[3] },
  async () => {
    process.stdout.write("held\n");
    await sleep(600_000);
  },
);
