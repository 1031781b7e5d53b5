/** Runs random histories, and makes the shortest one it can out of one that failed. */

import { carryOut, randomSteps, type Step } from "./steps.js";
import { World } from "./world.js";

export interface Failure {
  /** Steps up to and with the failing one. */
  steps: Step[];
  error: Error;
  /** What each step did, in words. */
  trace: string[];
}

/** Steps in one storage unless told otherwise: then a new one begins, so that small ones are met often. */
const HISTORY_STEPS = 250;

/** Undefined when all went well. */
export async function runHistory(steps: readonly Step[]): Promise<Failure | undefined> {
  const trace: string[] = [];
  const done: Step[] = [];
  const world = new World();
  try {
    await world.start();
    for (const step of steps) {
      done.push(step);
      trace.push(`${step.kind}: …`);
      trace[trace.length - 1] = `${step.kind}: ${await carryOut(world, step)}`;
    }
    await world.verifyAll();
    return undefined;
  } catch (error) {
    return { steps: done, error: error as Error, trace };
  } finally {
    await world.end().catch(() => undefined);
  }
}

/** Histories of `count` steps in all, `each` in one storage. @throws Error with the shortest failing sequence found */
export async function runHistories(
  seed: number,
  count: number,
  each = HISTORY_STEPS,
): Promise<Record<string, number>> {
  const kinds: Record<string, number> = {};
  for (let done = 0, part = 0; done < count; part++) {
    const steps = [...randomSteps(seed + part, Math.min(each, count - done))];
    const failure = await runHistory(steps);
    if (failure !== undefined) throw await explained(seed + part, failure);
    for (const { kind } of steps) kinds[kind] = (kinds[kind] ?? 0) + 1;
    done += steps.length;
  }
  return kinds;
}

/** Runs the steps that a failure printed. @throws Error */
export async function replay(text: string): Promise<void> {
  const steps = (JSON.parse(text) as [string, number][]).map(([kind, seed]) => ({ kind, seed }));
  const failure = await runHistory(steps);
  if (failure !== undefined) throw new Error(textOf(failure), { cause: failure.error });
}

function textOf({ error, trace, steps }: Failure): string {
  return [
    ...trace.map((text, i) => `  ${i + 1}. ${text}`),
    `BASALT_REPLAY='${JSON.stringify(steps.map(({ kind, seed }) => [kind, seed]))}'`,
    error.stack ?? error.message,
  ].join("\n");
}

async function explained(seed: number, failure: Failure): Promise<Error> {
  const shortest = process.env.BASALT_FIRST === undefined ? await shrink(failure) : failure;
  const head = `BASALT_SEED=${seed} BASALT_STEPS=${failure.steps.length} fails; the shortest way found:`;
  return new Error(`${head}\n${textOf(shortest)}`);
}

const SHRINK_MS = 90_000;

/** Leaves out as many steps as it can in the time: whole kinds first, then stretches, long ones first. */
async function shrink(failure: Failure): Promise<Failure> {
  const until = Date.now() + SHRINK_MS;
  let best = failure;
  const without = async (dropped: (step: Step, index: number) => boolean): Promise<void> => {
    const last = best.steps.length - 1;
    const steps = best.steps.filter((step, i) => i === last || !dropped(step, i));
    if (steps.length === best.steps.length || Date.now() > until) return;
    const found = await runHistory(steps);
    if (found !== undefined && sameKind(found.error, best.error)) best = found;
  };
  for (const kind of new Set(best.steps.map((step) => step.kind)))
    await without((step) => step.kind === kind);
  for (let size = Math.ceil(best.steps.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = best.steps.length - 1; from > 0; from -= size) {
      const start = from - size;
      await without((_step, i) => i >= start && i < start + size);
    }
  }
  return best;
}

/** The same failure but for numbers and names. */
function sameKind(a: Error, b: Error): boolean {
  const plain = ({ message }: Error) => message.slice(0, 200).replace(/[\d/].*$/s, "");
  return plain(a) === plain(b);
}
