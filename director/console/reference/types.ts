/** What `reference advise` and `reference drift` answer, as in `.api json`. Bytes are those of file contents. */

export type ListName = { name: string; jobId: number };

export type AdvisedOption = {
  /** Topmost first; empty: no Base. kind: base (exists), machine (its list now), common (what these have alike) */
  base: { kind: string; lists: ListName[]; entries: number; bytes: number }[];
  /** Entries that need no row, since they are the same below. */
  sameEntries: number;
  sameBytes: number;
  /** Files with a row and no content of their own: it is in one of the lists, at whichever path. */
  knownFiles: number;
  knownBytes: number;
  newFiles: number;
  newBytes: number;
  /** What a first run would read. */
  readBytes: number;
  rows: number;
  deletions: number;
  /** Against now; negative: it costs so much more. */
  savedRows: number;
  savedBytes: number;
};

export type AdvisedMachine = {
  machine: string;
  jobId: number;
  storage: string;
  entries: number;
  bytes: number;
  now: AdvisedOption;
  /** Better than now, the best one first. */
  options: AdvisedOption[];
  notes: string[];
};

/** A reference that does not exist yet, and whom it would serve. */
export type NewReference = {
  kind: string;
  lists: ListName[];
  entries: number;
  bytes: number;
  machines: string[];
  savedRows: number;
  savedBytes: number;
};

export type Skipped = { machine: string; reason: string };

export type Advice = { machines: AdvisedMachine[]; newReferences: NewReference[]; skipped: Skipped[] };

export type Count = { entries: number; bytes: number };

export type DriftedFile = { path: string; size: number; package: string; what: string[]; known: boolean };

export type DriftedPackage = { name: string; architecture: string; version: string; baseVersion: string };

export type DriftedMachine = {
  machine: string;
  jobId: number;
  storage: string;
  bases: ListName[];
  /** dpkg, rpm (there, but not readable from a list), none */
  packageDatabase: string;
  same: Count;
  known: Count;
  fresh: Count;
  /** By kind; of each the first ones are named. */
  files: { kind: string; entries: number; bytes: number; named: DriftedFile[] }[];
  /** updates, newer, added, removed: how many, and the first ones. */
  packages: { kind: string; count: number; named: DriftedPackage[] }[];
  notes: string[];
};

export type Drift = { machines: DriftedMachine[]; skipped: Skipped[] };
