/** Names of automatically labelled volumes, from a pool's LabelFormat. */

/** What a template may name. */
export interface LabelFacts {
  job: string;
  jobName: string;
  jobId: number;
  level: string;
  client: string;
  pool: string;
  storage: string;
  /** Volumes in the pool now. */
  numVols: number;
  timeMs: number;
}

const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/**
 * Candidate names in the order in which they are to be tried. Without `$` the format is a prefix for a number of four
 * digits (volumes in the pool + 1 and on); a template gives one name and no number.
 */
export function* labelNames(format: string, facts: LabelFacts): Generator<string> {
  if (format.includes("$")) {
    yield expand(format, facts);
    return;
  }
  for (let number = facts.numVols + 1; ; number++) yield `${format}${String(number).padStart(4, "0")}`;
}

function expand(format: string, facts: LabelFacts): string {
  const values = variables(facts);
  return format.replace(/\$\{([A-Za-z]+)((?::[^}]*)?)\}|\$([A-Za-z]+)/g, (whole, braced, options, bare) => {
    const value = values.get(String(braced ?? bare).toLowerCase());
    return value === undefined ? whole : pad(value, String(options ?? ""));
  });
}

/** `:p/N/C/r` pads to N with C, on the left for `r`, else on the right. */
function pad(value: string, options: string): string {
  const match = /^:p\/(\d{1,3})\/(.)\/([lr])/.exec(options);
  if (match === null) return value;
  const width = Number(match[1]);
  return match[3] === "r" ? value.padStart(width, match[2]) : value.padEnd(width, match[2]);
}

function variables(facts: LabelFacts): Map<string, string> {
  const date = new Date(facts.timeMs);
  return new Map(
    Object.entries({
      year: date.getFullYear(),
      month: date.getMonth() + 1,
      day: date.getDate(),
      hour: date.getHours(),
      minute: date.getMinutes(),
      second: date.getSeconds(),
      weekday: WEEKDAYS[date.getDay()],
      job: facts.job,
      jobname: facts.jobName,
      jobid: facts.jobId,
      level: facts.level,
      type: "Backup",
      client: facts.client,
      pool: facts.pool,
      storage: facts.storage,
      numvols: facts.numVols,
    }).map(([name, value]) => [name, String(value)]),
  );
}
