/** Rates from samples of a counter. */

/** What a counter of bytes showed at a time. */
export interface ReadSample {
  seconds: number;
  bytes: number;
}

/**
 * Least and greatest rate, bytes per second, over all stretches of `windowSeconds` behind the first and before the
 * last second in which at least half of the expected rate was reached. Undefined when there is no such stretch.
 */
export function steadyRates(
  samples: readonly ReadSample[],
  { windowSeconds, expected }: { windowSeconds: number; expected: number },
): { least: number; most: number } | undefined {
  const busy = samples.filter((sample, index) => {
    const next = samples.slice(index + 1).find(({ seconds }) => seconds >= sample.seconds + 1);
    return next !== undefined && rate(sample, next) >= expected / 2;
  });
  const [from, to] = [(busy[0]?.seconds ?? 0) + 1, busy.at(-1)?.seconds ?? 0];
  const steady = samples.filter(({ seconds }) => seconds >= from && seconds <= to);
  let found: { least: number; most: number } | undefined;
  for (const [index, start] of steady.entries()) {
    const end = steady.slice(index + 1).find(({ seconds }) => seconds >= start.seconds + windowSeconds);
    if (end === undefined) break;
    const reached = rate(start, end);
    found = {
      least: Math.min(found?.least ?? reached, reached),
      most: Math.max(found?.most ?? reached, reached),
    };
  }
  return found;
}

function rate(from: ReadSample, to: ReadSample): number {
  return (to.bytes - from.bytes) / (to.seconds - from.seconds);
}
