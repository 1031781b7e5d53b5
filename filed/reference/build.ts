/**
 * A job around a reference machine: it is built beside the old one, checked, put in its place, backed up by `work`, and
 * stays if that was committed. Whatever fails leaves the old one where it was.
 */
import { describeError } from "../../common/errors.js";
import { monotonicMs } from "../../common/time.js";
import type { Reference__Output } from "../../proto/generated/basalt/v1/Reference.js";
import { allowedReference } from "./allowed.js";
import type { ReferenceSettings } from "./config.js";
import { Place } from "./place.js";
import { type BuildTools, runHookProgram, timeLeft } from "./programs.js";

export type ReferenceTools = Omit<BuildTools, "name" | "untilMs">;

/**
 * @throws BackupError REFERENCE_FORBIDDEN, REFERENCE_BUSY, REFERENCE_PLACE, REFERENCE_FAILED, REFERENCE_TIMEOUT,
 * REFERENCE_EMPTY, HOOK_FORBIDDEN; the signal's reason; what `work` throws
 */
export function withReference<T>(
  asked: Reference__Output,
  references: readonly ReferenceSettings[],
  tools: ReferenceTools,
  work: () => Promise<T>,
): Promise<T> {
  const settings = allowedReference(asked, references);
  const place = new Place(settings.place);
  return place.alone(async () => {
    await place.open();
    try {
      await build(settings, place, tools);
      await place.swap();
    } catch (error) {
      await place.discard().catch((cause) => tools.report("warning", describeError(cause)));
      throw error;
    }
    let result: T;
    try {
      result = await work();
    } catch (error) {
      await place.revert().catch((cause) => tools.report("error", describeError(cause)));
      tools.report(
        "info",
        `Reference ${settings.name}: ${place.path} is the old one again, ${place.path}.failed the new one`,
      );
      throw error;
    }
    await place.keep().catch((cause) => tools.report("warning", describeError(cause)));
    return result;
  });
}

async function build(settings: ReferenceSettings, place: Place, given: ReferenceTools): Promise<void> {
  const { name, recipe, customize, timeLimitSec } = settings;
  const beganMs = monotonicMs();
  const tools: BuildTools = { ...given, name, untilMs: beganMs + timeLimitSec * 1000 };
  const target = { place: place.fresh, old: place.path };
  tools.report("info", `Reference ${name}: build ${place.path} (${recipe.builder})`);
  tools.state(`building reference machine (${recipe.builder})`);
  await runHookProgram(tools, recipe.command, target);
  for (const command of customize) {
    tools.state("customizing reference machine");
    await runHookProgram(tools, command, { ...target, more: [place.fresh] });
  }
  timeLeft(tools);
  tools.report("info", `Reference ${name}: built in ${Math.round((monotonicMs() - beganMs) / 1000)} seconds`);
}
