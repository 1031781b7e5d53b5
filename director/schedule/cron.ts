/** Cron lines of schedules, `5 23 * * 1-6`, in the local time zone. */

import { CronExpressionParser } from "cron-parser";
import { quoted } from "../../common/config/diagnostics.js";

const SHORTHANDS: Readonly<Record<string, string>> = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};

/**
 * The expression in its usual form: five fields, one blank between them.
 * Throws Error with a message for the operator when it is none, or one that never comes due.
 */
export function parseCron(text: string): string {
  const trimmed = text.trim().replace(/\s+/g, " ");
  const expression = SHORTHANDS[trimmed.toLowerCase()] ?? trimmed;
  if (expression.split(" ").length !== 5) {
    throw new Error(
      `${quoted(text)} is not a cron line: five fields, minute hour day month weekday ("5 23 * * *")`,
    );
  }
  try {
    CronExpressionParser.parse(expression, { currentDate: new Date(2024, 0, 1) }).next();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${quoted(text)} is not a cron line: ${reason}`);
  }
  return expression;
}

/** The first time after `afterMs` (exclusive) that the expression is due; undefined when there is none. */
export function cronAfter(expression: string, afterMs: number): number | undefined {
  try {
    return CronExpressionParser.parse(expression, { currentDate: new Date(afterMs) })
      .next()
      .getTime();
  } catch {
    return undefined;
  }
}
