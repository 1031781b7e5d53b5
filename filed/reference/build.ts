/**
 * A job around a reference machine: it is built beside the old one, checked, put in its place, backed up by `work`, and
 * stays if that was committed. Whatever fails leaves the old one where it was.
 */
import path from "node:path";
import { describeError } from "../../common/errors.js";
import { monotonicMs } from "../../common/time.js";
import type { Reference__Output } from "../../proto/generated/basalt/v1/Reference.js";
import type { FiledConfig } from "../config.js";
import { type HookJob, jobEnvironment } from "../hooks/hooks.js";
import { mountVm } from "../mount/mount-vm.js";
import { unmountVm } from "../mount/unmount-vm.js";
import { allowedReference } from "./allowed.js";
import { type BootTools, checkBoot } from "./boot-check.js";
import { makeImageOf } from "./disk.js";
import { buildByKickstart } from "./kickstart.js";
import { buildDebian } from "./mmdebstrap.js";
import { Place } from "./place.js";
import { type BuildTools, runHookProgram, timeLeft } from "./programs.js";
import type { DebRecipe, ReferenceSettings } from "./settings.js";

/** What the job gives. */
export interface ReferenceTools extends Pick<BuildTools, "report" | "state" | "signal"> {
  config: Pick<FiledConfig, "references" | "hookDirectories" | "workingDirectory">;
  job: HookJob;
}

/**
 * @throws BackupError REFERENCE_… of the steps, HOOK_FORBIDDEN, MOUNT_FAILED; the signal's reason; what `work` throws
 */
export function withReference<T>(
  asked: Reference__Output,
  tools: ReferenceTools,
  work: () => Promise<T>,
): Promise<T> {
  const settings = allowedReference(asked, tools.config.references);
  const place = new Place(settings.place);
  return place.alone(async () => {
    await place.open();
    try {
      await build(settings, asked.bootCheck !== "no", place, tools);
      await place.swap();
    } catch (error) {
      await place.discard().catch((cause) => tools.report("warning", describeError(cause)));
      throw error;
    }
    let result: T;
    try {
      result = await mounted(settings, tools, work);
    } catch (error) {
      await place.revert().catch((cause) => tools.report("error", describeError(cause)));
      const text = `${place.path} is the old one again, if there was one; the new one is ${place.failed}`;
      tools.report("info", `Reference ${settings.name}: ${text}`);
      throw error;
    }
    await place.keep().catch((cause) => tools.report("warning", describeError(cause)));
    return result;
  });
}

async function build(
  settings: ReferenceSettings,
  bootCheck: boolean,
  place: Place,
  given: ReferenceTools,
): Promise<void> {
  const { name, customize, timeLimitSec } = settings;
  const beganMs = monotonicMs();
  const { report, state, signal, config, job } = given;
  const { hookDirectories, workingDirectory } = config;
  const untilMs = beganMs + timeLimitSec * 1000;
  const tools = { name, report, state, signal, untilMs, hookDirectories, env: jobEnvironment(job) };
  // Where images are, is room for what a machine writes into a throw-away copy.
  const scratch = path.dirname(place.path);
  const consoleFile = (of: string): string =>
    path.join(workingDirectory, "references", `${name}.${of}.console`);
  const target = { place: place.fresh, old: place.path };
  tools.report("info", `Reference ${name}: build ${place.path} (${settings.recipe.builder})`);
  tools.state(`building reference machine (${settings.recipe.builder})`);
  await make(settings, place, { ...tools, scratch, consoleFile: consoleFile("install") });
  for (const command of customize) {
    tools.state("customizing reference machine");
    await runHookProgram(tools, command, { ...target, more: [place.fresh] });
  }
  if (settings.bootCheck !== undefined && bootCheck) {
    tools.state("booting reference machine");
    const built = { kind: settings.place.kind, path: place.fresh };
    await checkBoot(settings.bootCheck, built, { ...tools, scratch, consoleFile: consoleFile("boot") });
  }
  timeLeft(tools);
  tools.report("info", `Reference ${name}: built in ${Math.round((monotonicMs() - beganMs) / 1000)} seconds`);
}

async function make(
  { recipe, place: { kind } }: ReferenceSettings,
  place: Place,
  tools: BootTools,
): Promise<void> {
  const { fresh } = place;
  if (recipe.builder === "command") {
    await runHookProgram(tools, recipe.command, { place: fresh, old: place.path });
  } else if (recipe.builder === "kickstart") await buildByKickstart(recipe, fresh, tools);
  else if (kind === "directory") await buildDebian(recipe, fresh, tools);
  else await buildDebianImage(recipe, place, tools);
}

async function buildDebianImage(recipe: DebRecipe, place: Place, tools: BuildTools): Promise<void> {
  const tree = await place.makeTree();
  await buildDebian(recipe, tree, tools);
  const { sizeBytes, partitioned } = recipe;
  await makeImageOf(tree, { file: place.fresh, sizeBytes, partitioned }, tools);
  await place.removeTree();
}

/** An image's file systems are mounted while it is saved, if the configuration says where. */
async function mounted<T>(
  { name, mount, place }: ReferenceSettings,
  { report, signal }: ReferenceTools,
  work: () => Promise<T>,
): Promise<T> {
  if (mount === undefined) return work();
  const tell = (line: string): void => report("info", `Reference ${line}`);
  // What an earlier process left.
  await unmountVm(name, mount, { report: tell });
  const disks = [{ number: 0, device: place.path, writable: false }];
  await mountVm(name, disks, mount, { confirmedFreeze: false, report: tell, signal });
  try {
    return await work();
  } finally {
    await unmountVm(name, mount, { report: tell }).catch((error) => report("error", describeError(error)));
  }
}
