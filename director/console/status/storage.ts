/** `status storage`: what the storage daemon writes and reads, its devices and volumes in use. */
import { nowMs, reportTime } from "../../../common/time.js";
import { withCommas } from "../../../common/units.js";
import type { DeviceStatus__Output } from "../../../proto/generated/basalt/v1/DeviceStatus.js";
import type { StorageJobStatus__Output } from "../../../proto/generated/basalt/v1/StorageJobStatus.js";
import { sameDaemon } from "../catalog.js";
import type { CommandContext } from "../context.js";
import { statusTime } from "../format.js";
import { endedJobs, printTerminated, terminatedData } from "./director.js";

/** `section`: header, running, terminated or devices alone; "" for all of it. */
export async function storageStatus(context: CommandContext, storage: string, section = ""): Promise<void> {
  const resource = context.config.storages.get(storage)!;
  await context.say(`Connecting to Storage daemon ${storage} at ${resource.address}:${resource.port}`);
  const status = await context.director.daemons.storagedStatus(storage);
  const ended = endedJobs(context, { storages: sameDaemon(context, storage) });
  context.append("storages", {
    name: storage,
    version: status.version,
    startedMs: status.startedMs,
    rssBytes: status.rssBytes,
    running: status.running.map((job) => ({
      jobId: job.jobId,
      job: job.job,
      kind: job.kind,
      state: job.state,
      volume: job.volume,
      device: job.device,
    })),
    devices: status.devices.map((device) => ({ ...device })),
    terminated: terminatedData(ended),
  });
  const wants = (name: string): boolean => section === "" || section === name;
  if (wants("header"))
    await context.print(
      `\n${status.name || storage} Version: ${status.version}\n` +
        `Daemon started ${reportTime(status.startedMs)}. Jobs: running=${status.running.length}.\n` +
        ` Heap: rss=${withCommas(status.rssBytes)}\n`,
    );
  if (wants("running")) await running(context, status.running);
  if (wants("terminated")) await printTerminated(context, ended);
  if (wants("devices")) await devices(context, status.devices);
}

async function running(context: CommandContext, jobs: readonly StorageJobStatus__Output[]): Promise<void> {
  await context.print("\nRunning Jobs:\n");
  for (const job of jobs) await context.print(runningText(job));
  if (jobs.length === 0) await context.say("No Jobs running.");
  await context.say("====\n\nJobs waiting to reserve a drive:");
  const waiting = jobs.filter((job) => job.state === "waiting");
  for (const job of waiting)
    await context.say(`   JobId=${job.jobId} Job ${job.job} waiting for a Volume in pool ${job.pool}`);
  await context.say("====");
}

function runningText(job: StorageJobStatus__Output): string {
  const reading = job.kind === "Restore";
  const bytes = reading ? (job.progress?.bytesSent ?? 0) : (job.progress?.bytesStored ?? 0);
  const seconds = Math.max(1, (nowMs() - job.startedMs) / 1000);
  const what = reading ? "Restore Job" : `${job.level} Backup job`;
  return (
    `${reading ? "Reading" : "Writing"}: ${what} ${job.job} JobId=${job.jobId} Volume="${job.volume}"\n` +
    `    pool="${job.pool}" device="${job.device}"\n` +
    `    Files=${withCommas(job.progress?.files ?? 0)} Bytes=${withCommas(bytes)} ` +
    `AveBytes/sec=${withCommas(bytes / seconds)} started=${statusTime(job.startedMs)}\n`
  );
}

async function devices(context: CommandContext, list: readonly DeviceStatus__Output[]): Promise<void> {
  await context.print("\nDevice status:\n");
  await changers(context, list);
  for (const device of list) {
    const title = `Device File: "${device.name}" (${device.path})`;
    const drive = driveText(device);
    if (device.volume === "") {
      const how = device.unmounted ? "is not open.\n    Device is BLOCKED. User unmounted." : "is not open.";
      await context.print(`\n${title} ${how}\n${drive}`);
      continue;
    }
    await context.print(
      `\n${title} is mounted with:\n` +
        `    Volume:      ${device.volume}\n    Pool:        ${device.pool || "*unknown*"}\n` +
        `    Media type:  ${device.mediaType}\n${drive}    Total Bytes=${withCommas(device.volumeBytes)} Writers=${device.writers}\n`,
    );
  }
  await context.print("==\n====\n\nUsed Volume status:\n");
  for (const device of list) {
    if (device.volume === "" || device.writers === 0) continue;
    await context.say(`Reserved volume: ${device.volume} on File device "${device.name}" (${device.path})`);
  }
  await context.print("====\n\n====\n");
}

/** Autochangers with their drives. */
async function changers(context: CommandContext, list: readonly DeviceStatus__Output[]): Promise<void> {
  const drives = new Map(list.filter(({ changer }) => changer !== "").map((each) => [each.name, each]));
  for (const changer of new Set([...drives.values()].map((each) => each.changer))) {
    const mine = [...drives.values()].filter((each) => each.changer === changer);
    const lines = mine.map(({ name, path }) => `   "${name}" (${path})\n`);
    await context.print(`\nAutochanger "${changer}" with devices:\n${lines.join("")}`);
  }
}

/** Which slot's volume a drive has; nothing for devices that are no drives. */
function driveText({ scripted, slot, drive }: DeviceStatus__Output): string {
  if (!scripted) return "";
  if (slot > 0) return `    Slot ${slot} is loaded in drive ${drive}.\n`;
  return slot === 0 ? `    Drive ${drive} is not loaded.\n` : `    Drive ${drive} status unknown.\n`;
}
