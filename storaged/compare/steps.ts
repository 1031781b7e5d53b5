/** What is compared, what a comparison asks its driver for, and what it finds. Plain values: they cross threads. */

import type { ListCost } from "./costs.js";

/** A list by the director's JobId of the run that it belongs to. */
export interface NamedList {
  /** Of the job. */
  name: string;
  jobId: number;
}

export interface ComparedMachine extends NamedList {
  /** JobIds of the Bases that its next Full would lie over, topmost first. */
  bases: number[];
}

export interface AdviceRequest {
  /** Those that advice is wanted for. */
  machines: ComparedMachine[];
  /** Further ones whose lists could become references. */
  others: ComparedMachine[];
  /** The newest Base run of each job that makes one. */
  references: NamedList[];
}

export interface DriftRequest {
  machine: ComparedMachine;
  /** Entries named of each kind. */
  top: number;
}

/** A list that a machine could lie over. */
export interface AdvicePart {
  /** base: exists; machine: the list of another machine, as it is now; common: what several machines have alike */
  kind: "base" | "machine" | "common";
  lists: NamedList[];
  entries: number;
  bytes: number;
}

export interface AdviceOption {
  /** Topmost first; empty: no Base. */
  parts: AdvicePart[];
  cost: ListCost;
}

export interface MachineAdvice extends NamedList {
  entries: number;
  bytes: number;
  now: AdviceOption;
  /** Better than now, the best one first. */
  options: AdviceOption[];
}

/** How many entries, and how many bytes of file content. */
export interface Amount {
  entries: number;
  bytes: number;
}

export const noAmount = (): Amount => ({ entries: 0, bytes: 0 });

/** Entries of a report: all are counted, some are named. */
export const DRIFT_KINDS = [
  /** A file of an installed package whose version is the Base's, and that is another one there. */
  "package",
  /** The same, of a configuration file. */
  "configuration",
  /** The version of its package is another one. */
  "version",
  /** In the Base, of no package. */
  "changed",
  /** A program or library of no package and not in the Base. */
  "unmanaged",
  /** Of no package and not in the Base, and neither program nor library. */
  "extra",
  /** Of a package that the Base lacks. */
  "added",
  /** Not there, though an installed package has it. */
  "missing-package",
  /** In the Base and not there, otherwise. */
  "missing",
] as const;
export type DriftKind = (typeof DRIFT_KINDS)[number];

export interface DriftEntry {
  /** Latin1 carrier. */
  path: string;
  size: number;
  /** Name of its package, where one is known. */
  package: string;
  /** What is different: content, type, mode, owner, target, device, attributes; or of an unmanaged file why it counts. */
  what: string[];
  /** Its content is somewhere in the Base. */
  known: boolean;
}

export interface PackageChange {
  name: string;
  architecture: string;
  /** "": not installed. */
  version: string;
  baseVersion: string;
}

export interface MachineDrift extends NamedList {
  bases: number[];
  /** dpkg: read. rpm: there, but not readable from a list. */
  packages: "dpkg" | "rpm" | "none";
  /** Why what follows is not complete. */
  notes: string[];
  /** Same path and metadata; same content at whichever path; the rest. */
  same: Amount;
  known: Amount;
  fresh: Amount;
  /** Counted of each kind, in the order of DRIFT_KINDS. */
  counts: Amount[];
  /** The largest ones of each kind. */
  entries: DriftEntry[][];
  updates: PackageList;
  newer: PackageList;
  added: PackageList;
  removed: PackageList;
}

/** Packages of one kind: how many, and the first ones. */
export interface PackageList {
  count: number;
  packages: PackageChange[];
}

export type CompareStep =
  | { ask: "progress"; name: string; entries: number }
  /** Answered by the zstd frame behind the index record at this place, or by why it cannot be read. */
  | { ask: "read"; volume: number; offset: number; bytes: number }
  | { ask: "advice"; advice: MachineAdvice }
  | { ask: "drift"; drift: MachineDrift }
  | { ask: "end" };

export type CompareReply = Uint8Array | { error: string } | undefined;
export type Script<T = void> = Generator<CompareStep, T, CompareReply>;
