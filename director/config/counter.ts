/** Counter resources: numbers that LabelFormat counts on. The storage daemons count, where volumes get their names. */

import type { Diagnostics } from "../../common/config/diagnostics.js";
import { checkReference, type ResourceOf, resourceName } from "../../common/config/resources.js";
import { type BlockSpec, integer, reference } from "../../common/config/spec.js";
import type { CounterResource } from "./types.js";

/** Bacula's default, and the most that it takes. */
const MOST = 2 ** 31 - 1;

const counterDirectives = {
  name: resourceName(),
  minimum: integer(0, MOST),
  maximum: integer(0, MOST),
  wrapCounter: reference(),
};

export const COUNTER_SPEC: BlockSpec<typeof counterDirectives> = {
  directives: counterDirectives,
  noEffect: { Catalog: "the storage daemon counts" },
};

/** The typed Counter; a dangling WrapCounter and limits that leave no number are reported. */
export function toCounter(
  { name, values, at, place }: ResourceOf<typeof COUNTER_SPEC>,
  counters: ReadonlyMap<string, unknown>,
  diagnostics: Diagnostics,
): CounterResource {
  const minimum = values.minimum ?? 0;
  const maximum = values.maximum ?? MOST;
  if (maximum < minimum) diagnostics.error(at, `${place}: Maximum ${maximum} is below Minimum ${minimum}`);
  const wrapCounter = checkReference(values.wrapCounter, "Counter", counters, diagnostics);
  return { name, minimum, maximum, wrapCounter };
}
