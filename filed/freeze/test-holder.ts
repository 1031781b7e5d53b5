/** A program that holds a machine by the settings in its first argument and then does nothing; tests kill it. */
import { setTimeout as sleep } from "node:timers/promises";
import { whileFrozen } from "./freeze.js";

const settings = JSON.parse(process.argv[2] ?? "{}");
await whileFrozen("vm-1", settings, { report: () => undefined }, async () => {
  process.stdout.write("held\n");
  await sleep(600_000);
});
