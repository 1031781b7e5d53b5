/** Failures that are alike for many entries: counted, and told in one line each at the end. */
import { withCommas } from "../../common/units.js";
import { TALLIES, type Tally } from "./protocol.js";

export type Tallies = Partial<Record<Tally, { count: number; example: string }>>;

export function addTallies(into: Tallies, more: Tallies): void {
  for (const tally of TALLIES) {
    const found = more[tally];
    if (found === undefined) continue;
    const entry = into[tally];
    if (entry === undefined) into[tally] = { ...found };
    else entry.count += found.count;
  }
}

const WORDS: Readonly<Record<Tally, string>> = {
  owner: "the owner could not be set",
  mode: "the mode could not be set",
  xattr: "an extended attribute or ACL could not be set",
  time: "the modification time could not be set",
  device: "a device was left out",
};

export function tallyMessages(tallies: Tallies): string[] {
  return TALLIES.flatMap((tally) => {
    const found = tallies[tally];
    if (found === undefined) return [];
    const entries = found.count === 1 ? "1 entry" : `${withCommas(found.count)} entries`;
    return [`${entries}: ${WORDS[tally]} (${found.count === 1 ? "" : "first: "}${found.example})`];
  });
}
