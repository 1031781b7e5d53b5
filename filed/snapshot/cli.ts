/** `basalt snapshot`: what the hooks of jobs call, and operators by hand. */
import { BackupError, EXIT } from "../../common/errors.js";
import { baculaTime } from "../../common/time.js";
import { formatBytes } from "../../common/units.js";
import { loadFiledConfig } from "../config.js";
import { type FoundSet, lifeOf, ownSets, type SnapshotContext, snapshotContext } from "./context.js";
import { createSnapshots } from "./create.js";
import { checkVmName } from "./names.js";
import { ownerText, removeLeftovers, removeSnapshots } from "./remove.js";

type Print = (line: string) => void;

/** The job whose hook this process is, as filed told it. */
function jobOfHook(): { uuid: string; id: number } | undefined {
  const { BASALT_JOB_UUID: uuid = "", BASALT_JOB_ID: id = "" } = process.env;
  if (uuid === "" && id === "") return undefined;
  if (uuid !== "" && /^\d{1,15}$/.test(id)) return { uuid, id: Number(id) };
  throw new BackupError("USAGE", "BASALT_JOB_UUID and BASALT_JOB_ID come together, from the file daemon");
}

/** Runs `work` with a signal that SIGTERM, SIGINT and SIGHUP abort: what was made is undone then. */
async function untilSignal(work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const controller = new AbortController();
  const names = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
  const end = (name: NodeJS.Signals): void =>
    controller.abort(new BackupError("INTERRUPTED", `ended by ${name}: nothing is left behind`));
  for (const name of names) process.on(name, end);
  try {
    await work(controller.signal);
  } finally {
    for (const name of names) process.off(name, end);
  }
}

export async function runCreate(
  options: { configFile: string; vm: string; mount: boolean },
  print: Print,
): Promise<number> {
  const { vm, mount } = options;
  const context = snapshotContext(loadFiledConfig(options.configFile), print);
  const job = jobOfHook();
  await untilSignal((signal) => createSnapshots(vm, context, { job, mount, signal }));
  return EXIT.ok;
}

export async function runRemove(options: { configFile: string; vm: string }, print: Print): Promise<number> {
  const context = snapshotContext(loadFiledConfig(options.configFile), print);
  await removeSnapshots(options.vm, context, jobOfHook());
  return EXIT.ok;
}

export async function runCleanup(
  options: { configFile: string; vm?: string | undefined },
  print: Print,
): Promise<number> {
  if (options.vm !== undefined) checkVmName(options.vm);
  const context = snapshotContext(loadFiledConfig(options.configFile), print);
  return (await removeLeftovers(context, options.vm)) === 0 ? EXIT.ok : EXIT.error;
}

export async function runList(
  options: { configFile: string; vm?: string | undefined; json: boolean },
  print: Print,
): Promise<number> {
  if (options.vm !== undefined) checkVmName(options.vm);
  const context = snapshotContext(loadFiledConfig(options.configFile), print);
  const complaints: string[] = [];
  const found = await ownSets(context, options.vm, (text) => void complaints.push(text));
  const sets = found.sort((a, b) => (a.owner.vm < b.owner.vm ? -1 : 1));
  if (options.json)
    print(
      JSON.stringify(
        sets.map((set) => asJson(set, context)),
        undefined,
        2,
      ),
    );
  else if (sets.length === 0) print("no snapshots");
  else for (const line of table(sets, context)) print(line);
  if (complaints.length > 0) throw new BackupError("SNAPSHOT_FAILED", complaints.join("; "));
  return EXIT.ok;
}

function asJson({ owner, disks }: FoundSet, context: SnapshotContext): object {
  const { vm, resource, set, sinceSec, job } = owner;
  const life = lifeOf(owner, context);
  return {
    ...{ vm, snapshot: resource, set, since: new Date(sinceSec * 1000).toISOString() },
    ...{
      job: job ?? null,
      state: life === "by hand" ? "kept" : life,
      complete: disks.length === owner.disks,
    },
    disks: disks.map(({ usedPercent = null, fault = null, ...disk }) => ({ ...disk, usedPercent, fault })),
  };
}

const HEADS = ["VM", "Disk", "Snapshot", "Size", "Used", "Made by", "Since", "State"];

function table(sets: readonly FoundSet[], context: SnapshotContext): string[] {
  const rows = sets.flatMap((set) => {
    const { owner, disks } = set;
    const { vm, sinceSec, job } = owner;
    const life = lifeOf(owner, context);
    const by = job === undefined ? "hand" : `${ownerText(owner)} (${life === "alive" ? "runs" : "ended"})`;
    const missing =
      disks.length === 0 || disks.length < owner.disks ? `${disks.length} of ${owner.disks} disks` : "good";
    const since = baculaTime(sinceSec * 1000);
    if (disks.length === 0) return [[vm, "", "", "", "", by, since, missing]];
    return disks.map(({ number, device, sizeBytes, usedPercent, fault }) => [
      ...[vm, String(number), device, formatBytes(sizeBytes)],
      ...[
        usedPercent === undefined ? "" : `${usedPercent}%`,
        by,
        baculaTime(sinceSec * 1000),
        fault ?? missing,
      ],
    ]);
  });
  const widths = HEADS.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => row[column]!.length)),
  );
  return [HEADS, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
}
