/** Reads CPU profiles of V8 (`node --cpu-prof`; the format of the DevTools protocol's type Profiler.Profile). */
import { basename } from "node:path";

interface Profile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
  }[];
  /** The node that each sample was taken in. */
  samples: number[];
  /** Microseconds before each sample. */
  timeDeltas: number[];
}

/** Microseconds of their own by function, over several profiles. */
function selfTimes(texts: readonly string[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const text of texts) {
    const { nodes, samples, timeDeltas } = JSON.parse(text) as Profile;
    const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
    for (const [index, id] of samples.entries()) {
      const name = names.get(id) ?? "(unknown)";
      // A sample's time is that until the next one.
      times.set(name, (times.get(name) ?? 0) + Math.max(0, timeDeltas[index + 1] ?? 0));
    }
  }
  return times;
}

function nameOf({ functionName, url, lineNumber }: Profile["nodes"][number]["callFrame"]): string {
  const name = functionName || "(anonymous)";
  return url === "" ? name : `${name} ${basename(url)}:${lineNumber + 1}`;
}

/** A head, then up to `top` lines: seconds, share of the time not idle, function with file and line. */
export function profileLines(texts: readonly string[], top: number): string[] {
  const times = selfTimes(texts);
  const idle = (times.get("(idle)") ?? 0) / 1e6;
  times.delete("(idle)");
  const busy = [...times.values()].reduce((sum, time) => sum + time, 0) / 1e6;
  const first = [...times].toSorted((a, b) => b[1] - a[1]).slice(0, top);
  const lines = first.map(([name, time]) => {
    const seconds = time / 1e6;
    return `${seconds.toFixed(3).padStart(9)} s ${((100 * seconds) / busy).toFixed(1).padStart(5)} %  ${name}`;
  });
  const threads = `${texts.length} ${texts.length === 1 ? "thread" : "threads"}`;
  return [`${threads}: ${busy.toFixed(2)} s busy, ${idle.toFixed(2)} s idle`, ...lines];
}
