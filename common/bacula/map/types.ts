/** What the mapping is made of. */

import type { Position } from "../../config/diagnostics.js";
import type { ConfigEntry, ConfigNode } from "../../config/source.js";
import type { BaculaDirective } from "../syntax.js";
import type { BlockBuilder } from "./mapper.js";

/**
 * `differs`: carried over, and behaves in another way. `replaced`: something else does it. `without effect`: there is
 * nothing here that it could act on. `unsupported`: what it did is not done. `wrong`: Bacula would not take it either.
 */
export type Outcome = "differs" | "replaced" | "without effect" | "unsupported" | "wrong";

export interface Finding {
  readonly outcome: Outcome;
  readonly at: Position;
  /** `Job "web1": Spool Data = yes` */
  readonly what: string;
  /** Why, or what follows from it. */
  readonly text: string;
}

/** Why a directive or resource is left out although its mapping is known: a loader did not take it. */
export interface Removal {
  readonly outcome: Outcome;
  readonly text: string;
}

/** Where a daemon's own files are to be. Relative paths start at the configuration. */
export interface Places {
  readonly workingDirectory: (role: "director" | "filed" | "storaged") => string;
  /** Directory of keys and certificates. */
  readonly pki: string;
  /** A file daemon runs commands of jobs from these directories. */
  readonly hooks: readonly string[];
  /** Passwords prove who peers are, and are taken from the original: nothing is to be said about them. */
  readonly takesPasswords: boolean;
}

/** An installation that `basalt import` makes. */
export const INSTALLATION: Places = {
  workingDirectory: (role) => `var/${role}`,
  pki: "pki",
  hooks: ["hooks"],
  takesPasswords: false,
};

/** An entry with the comment lines in front of it, and the comment behind its value. */
export interface MappedEntry extends ConfigEntry {
  readonly remarks: readonly string[];
  readonly behind?: string;
}

export type MapNode = Extract<ConfigNode, { kind: "map" }>;

/** One resource as it is to be read; entries are MappedEntry. */
export interface MappedResource {
  readonly kind: string;
  readonly remarks: readonly string[];
  readonly node: MapNode;
}

/** What becomes of one directive. */
export type Rule = (directive: BaculaDirective, block: BlockBuilder) => void;

/** By folded name; `""` is for all others. */
export type Rules = Readonly<Record<string, Rule>>;
