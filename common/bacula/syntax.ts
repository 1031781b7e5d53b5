/**
 * The syntax tree of Bacula's and Bareos' configuration language. Everything keeps its place, its comments and
 * the words as they were written; what they mean is decided by who reads the tree (`values.ts`, `map/`).
 */

import type { Position } from "../config/diagnostics.js";

/** One piece of a value: a word, a text in quotes (without them, escapes resolved), or `,` and `=` between them. */
export interface BaculaWord {
  readonly kind: "word" | "quoted" | "comma" | "equals";
  readonly text: string;
  readonly at: Position;
}

/** `Name = value` up to the end of the line or `;`, or `Name { … }`, or `Name = { … }`. */
export interface BaculaDirective {
  /** As written, with single blanks: `Maximum Concurrent Jobs`. */
  readonly name: string;
  readonly at: Position;
  /** Empty when there is a block. */
  readonly words: readonly BaculaWord[];
  readonly block?: readonly BaculaDirective[];
  /** Comment lines in front of it, without `#`. */
  readonly comments: readonly string[];
  /** Comment behind it on the same line, without `#`. */
  readonly remark?: string;
}

export interface BaculaResource {
  /** As written: `Job`, `FileSet`, … */
  readonly kind: string;
  readonly at: Position;
  readonly directives: readonly BaculaDirective[];
  readonly comments: readonly string[];
}

/** An include whose files would be the output of a command: it is never run. */
export interface SkippedCommand {
  readonly command: string;
  readonly at: Position;
}

/** Everything that was read for one daemon. */
export interface BaculaConfig {
  /** Absolute paths of all files read, in order. */
  readonly files: readonly string[];
  readonly resources: readonly BaculaResource[];
  readonly commands: readonly SkippedCommand[];
  /** Files that are not UTF-8 and were read as ISO 8859-1. */
  readonly latin1Files: readonly string[];
}
