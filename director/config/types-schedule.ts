/** Schedules as the rest of the director sees them; conventions as in `types.ts`. */

import type { JobLevel } from "./types.js";

/** Values that one line of a schedule sets for the runs it starts. */
export interface RunOverrides {
  readonly level?: JobLevel | undefined;
  readonly pool?: string | undefined;
  readonly fullPool?: string | undefined;
  readonly incrementalPool?: string | undefined;
  readonly differentialPool?: string | undefined;
  readonly virtualFullPool?: string | undefined;
  readonly nextPool?: string | undefined;
  readonly storage?: string | undefined;
  readonly messages?: string | undefined;
  readonly priority?: number | undefined;
  readonly accurate?: boolean | undefined;
  readonly maxRunTimeSec?: number | undefined;
  readonly maxRunSchedTimeSec?: number | undefined;
}

/** When a line of a schedule is due: a cron expression, or Bacula's words without the overrides. */
export type RunSpec =
  | { readonly kind: "cron"; readonly expression: string }
  | { readonly kind: "bacula"; readonly text: string };

export interface RunDirective {
  readonly overrides: RunOverrides;
  readonly spec: RunSpec;
}

export interface ScheduleResource {
  readonly name: string;
  readonly enabled: boolean;
  readonly runs: readonly RunDirective[];
}
