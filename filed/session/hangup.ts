/** `setdebug hangup=N`: a backup that breaks off by itself, once, as one whose connection was lost. */
import { Matcher } from "../match/matcher.js";
import type { Tally } from "../match/tally.js";
import type { Comparer } from "../verify/comparer.js";
import type { SessionSettings } from "./deps.js";

/** How often the kilobytes are looked at. */
const LOOK_MS = 10;

/** Files after which the walk breaks off; 0: it does not. */
export function hangupFiles(settings: SessionSettings | undefined): number {
  return Math.max(0, settings?.hangup ?? 0);
}

/** Walks, and breaks off when so many kilobytes have been read; false when it was ended early, by whomever. */
export async function walkToEnd(
  matcher: Matcher | Comparer,
  settings: SessionSettings | undefined,
  tally: Tally,
): Promise<boolean> {
  if (!(matcher instanceof Matcher)) {
    await matcher.run();
    return true;
  }
  const kilobytes = -(settings?.hangup ?? 0);
  if (kilobytes <= 0) return matcher.run();
  const timer = setInterval(() => {
    if (tally.totals.bytesRead / 1024 > kilobytes) matcher.stop(0);
  }, LOOK_MS);
  try {
    return await matcher.run();
  } finally {
    clearInterval(timer);
  }
}

/** What is said about it; the next job goes on to its end. */
export function takeHangup(settings: SessionSettings | undefined): string {
  const hangup = settings?.hangup ?? 0;
  if (settings !== undefined) settings.hangup = 0;
  return `Debug hangup requested after ${hangup > 0 ? `${hangup} files` : `${-hangup} Kbytes`}.`;
}
