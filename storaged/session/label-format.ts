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
  mediaType: string;
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
    // What is not known stays as it is: the name is then refused with the variable in it.
    return value === undefined ? whole : applied(value, String(options ?? ""));
  });
}

/** Bacula's `:p/N/C/r` (pad to N with C, on the left for `r`), `:oSTART,COUNT`, `:u`, `:l`; one after the other. */
function applied(value: string, options: string): string {
  let out = value;
  for (const [, pad, width, fill, side, start, count, word] of options.matchAll(
    /:(?:(p)\/(\d{1,3})\/(.)\/([lr])|o(\d{1,3}),(\d{1,3})|([ul]))/g,
  )) {
    if (pad !== undefined)
      out = side === "r" ? out.padStart(Number(width), fill) : out.padEnd(Number(width), fill);
    else if (word !== undefined) out = word === "u" ? out.toUpperCase() : out.toLowerCase();
    else out = out.slice(Number(start), Number(start) + Number(count));
  }
  return out;
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
      mediatype: facts.mediaType,
      numvols: facts.numVols,
    }).map(([name, value]) => [name, String(value)]),
  );
}
