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
  /** Values of the counters that the format names, by their names in lower case. (Default: none) */
  counters?: Readonly<Record<string, number>>;
}

/** A counter that a format names. */
export interface UsedCounter {
  /** In lower case. */
  name: string;
  /** `${Name+}`: it counts on. */
  increments: boolean;
}

const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/**
 * Candidate names in the order in which they are to be tried. Without `$` the format is a prefix for a number of four
 * digits (volumes in the pool + 1 and on); a template gives one name and no number.
 */
export function* labelNames(format: string, facts: LabelFacts): Generator<string> {
  if (format.includes("$")) {
    yield expandLabel(format, facts);
    return;
  }
  for (let number = facts.numVols + 1; ; number++) yield `${format}${String(number).padStart(4, "0")}`;
}

/** `${Name}`, `${Name+}` for counters, both with `:` and what is to be done with the value; `$Name`. */
const VARIABLE = /\$\{([A-Za-z][A-Za-z0-9_-]*)(\+?)((?::[^}]*)?)\}|\$([A-Za-z]+)/g;

/** What a format names that is no variable of every job: counters, if anything. */
export function countersIn(format: string): UsedCounter[] {
  const found = new Map<string, UsedCounter>();
  for (const [, braced, plus, , bare] of format.matchAll(VARIABLE)) {
    const name = String(braced ?? bare).toLowerCase();
    if (KNOWN.has(name)) continue;
    const increments = plus === "+" || found.get(name)?.increments === true;
    found.set(name, { name, increments });
  }
  return [...found.values()];
}

/** The text with its variables replaced; what is not known stays as it is. */
export function expandLabel(format: string, facts: LabelFacts): string {
  const values = variables(facts);
  return format.replace(VARIABLE, (whole, braced, _plus, options, bare) => {
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
  const values = Object.entries({ ...facts.counters, ...ownVariables(facts) });
  return new Map(values.map(([name, value]) => [name, String(value)]));
}

/** By lower-case name. */
function ownVariables(facts: LabelFacts) {
  const date = new Date(facts.timeMs);
  return {
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
  };
}

const KNOWN = new Set(
  Object.keys(
    ownVariables({
      ...{ job: "", jobName: "", jobId: 0, level: "", client: "", pool: "", storage: "", mediaType: "" },
      ...{ numVols: 0, timeMs: 0 },
    }),
  ),
);
