/**
 * From Bacula's directives to Basalt's: the nodes that the daemons' own loaders read, with the places of the original,
 * and what there is to say about each directive. Nothing gets lost silently: a directive either becomes an entry or
 * has a finding.
 */

import { foldName, type Position } from "../../config/diagnostics.js";
import type { ConfigNode } from "../../config/source.js";
import type { BaculaDirective, BaculaResource } from "../syntax.js";
import { lineOf } from "../values.js";
import type { Names } from "./names.js";
import { mapDirectives, removedInside } from "./rules.js";
import {
  type Finding,
  INSTALLATION,
  type MapNode,
  type MappedEntry,
  type MappedResource,
  type Outcome,
  type Places,
  type Removal,
  type Rules,
} from "./types.js";

/** The originals that were mapped, and what was said about them. */
export class Mapper {
  readonly findings: Finding[] = [];
  readonly resources: MappedResource[] = [];
  readonly names: Names;
  readonly removed: ReadonlyMap<object, Removal>;
  /** Bareos' defaults and words count. */
  readonly isBareos: boolean;
  readonly places: Places;
  /** Directives that became entries, and all there were. */
  carried = 0;
  total = 0;

  constructor(
    names: Names,
    removed: ReadonlyMap<object, Removal>,
    isBareos: boolean,
    places: Places = INSTALLATION,
  ) {
    this.names = names;
    this.places = places;
    this.removed = removed;
    this.isBareos = isBareos;
  }

  /** Maps a resource by rules and keeps it; false when it was left out. `finish` sees it before it is closed. */
  resource(
    resource: BaculaResource,
    kind: string,
    rules: Rules,
    finish: (block: BlockBuilder) => void = () => undefined,
  ): boolean {
    const place = placeOf(resource);
    const removal = this.removed.get(resource);
    if (removal !== undefined) {
      this.leaveOut(resource, removal.outcome, removal.text);
      for (const { directive, removal: inner } of removedInside(resource.directives, this.removed)) {
        const what = `${place}: ${shownDirective(directive)}`;
        this.findings.push({ outcome: inner.outcome, at: directive.at, what, text: inner.text });
      }
      return false;
    }
    const block = new BlockBuilder(this, place, resource.at);
    const before = [this.findings.length, this.carried, this.total] as const;
    try {
      mapDirectives(resource.directives, rules, block);
      finish(block);
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error;
      this.findings.length = before[0];
      [, this.carried, this.total] = before;
      this.leaveOut(resource, error.outcome, error.message);
      return false;
    }
    const origin = resource.at.line === 0 ? [] : [` ${resource.at.file}:${resource.at.line}`];
    const remarks = [...resource.comments, ...origin];
    this.resources.push({ kind, remarks, node: block.node() });
    return true;
  }

  /** A whole resource that is not carried over. */
  leaveOut(resource: BaculaResource, outcome: Outcome, text: string): void {
    this.total += countDirectives(resource.directives);
    this.findings.push({ outcome, at: resource.at, what: placeOf(resource), text });
  }
}

/** Thrown by a rule when the whole resource must not be carried over. */
export class LeftOut extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome, message: string) {
    super(message);
    this.outcome = outcome;
  }
}

/** `Job "web1"` */
export function placeOf(resource: BaculaResource): string {
  const name = resource.directives.find((directive) => foldName(directive.name) === "name");
  const text = name?.words[0]?.text;
  return text === undefined ? resource.kind : `${resource.kind} "${text.slice(0, 127)}"`;
}

/** Directives of a block with those of blocks inside it. */
export function countDirectives(directives: readonly BaculaDirective[]): number {
  return directives.reduce((sum, { block }) => sum + 1 + countDirectives(block ?? []), 0);
}

/** Collects the entries of one block. */
export class BlockBuilder {
  readonly mapper: Mapper;
  readonly place: string;
  readonly at: Position;
  readonly #entries: MappedEntry[] = [];
  /** Comment lines for the next entry. */
  #remarks: string[] = [];

  constructor(mapper: Mapper, place: string, at: Position) {
    this.mapper = mapper;
    this.place = place;
    this.at = at;
  }

  has(key: string): boolean {
    return this.#entries.some((entry) => foldName(entry.key) === foldName(key));
  }

  /** An entry that no directive stands for. */
  put(key: string, value: ConfigNode | string, remark?: string): void {
    const node: ConfigNode = typeof value === "string" ? scalar(value, this.at) : value;
    if (remark !== undefined) this.#remarks.push(` ${remark}`);
    this.#push({ key, at: this.at, value: node, remarks: [] });
  }

  /** The value of a directive that can be given once. */
  set(key: string, value: ConfigNode | string, from: BaculaDirective): void {
    if (this.has(key)) {
      this.say("wrong", from, "it is given twice; the first one counts");
      return;
    }
    const node = typeof value === "string" ? scalar(value, from.at) : value;
    const entry = { key, at: from.at, value: node, remarks: [...from.comments] };
    this.#push(from.remark === undefined ? entry : { ...entry, behind: ` ${from.remark}` });
  }

  /** One more value of a directive that can be given several times. */
  add(key: string, values: readonly (ConfigNode | string)[], from: BaculaDirective): void {
    const items = values.map((value) => (typeof value === "string" ? scalar(value, from.at) : value));
    const index = this.#entries.findIndex((entry) => entry.key === key);
    if (index < 0) {
      const value: ConfigNode = { kind: "list", items, at: from.at };
      this.#push({ key, at: from.at, value, remarks: remarksOf(from) });
      return;
    }
    const known = this.#entries[index]!;
    const before = known.value.kind === "list" ? known.value.items : [known.value];
    const value: ConfigNode = { kind: "list", items: [...before, ...items], at: known.value.at };
    // Comments between the values of one list move in front of it.
    const remarks = [...known.remarks, ...this.#remarks, ...remarksOf(from)];
    this.#remarks = [];
    this.#entries[index] = { ...known, value, remarks };
  }

  /** The values of an entry, which is taken out again. */
  take(key: string): readonly ConfigNode[] {
    const index = this.#entries.findIndex((entry) => entry.key === key);
    if (index < 0) return [];
    const [entry] = this.#entries.splice(index, 1);
    this.#remarks = [...entry!.remarks, ...this.#remarks];
    return entry!.value.kind === "list" ? entry!.value.items : [entry!.value];
  }

  /** Says something about a directive; one that is not carried over stays as a comment. */
  say(outcome: Outcome, from: BaculaDirective, text: string): void {
    const shown = shownDirective(from);
    this.mapper.findings.push({ outcome, at: from.at, what: `${this.place}: ${shown}`, text });
    if (outcome === "differs") this.#remarks.push(` ${text}`);
    else this.#remarks.push(...from.comments, ` ${shown}`, `   ${outcome}: ${text}`);
  }

  /** All entries; comments behind the last one stand in front of it. */
  node(): MapNode {
    const last = this.#entries.at(-1);
    if (last !== undefined && this.#remarks.length > 0) {
      this.#entries[this.#entries.length - 1] = { ...last, remarks: [...last.remarks, ...this.#remarks] };
      this.#remarks = [];
    }
    return { kind: "map", entries: [...this.#entries], at: this.at };
  }

  #push(entry: MappedEntry): void {
    this.#entries.push({ ...entry, remarks: [...this.#remarks, ...entry.remarks] });
    this.#remarks = [];
  }
}

function scalar(text: string, at: Position): ConfigNode {
  return { kind: "scalar", text, at };
}

function remarksOf(from: BaculaDirective): string[] {
  return from.remark === undefined ? [...from.comments] : [...from.comments, ` ${from.remark}`];
}

const SECRET = /password|passphrase|secret|psk|token|encryptionkey/;

/** `Spool Data = yes`; what is or may be a secret is left out. */
export function shownDirective({ name, words, block }: BaculaDirective): string {
  if (block !== undefined) return `${name} { … }`;
  if (SECRET.test(foldName(name))) return `${name} = …`;
  const line = withoutPasswords(lineOf(words).replace(/[\u0000-\u001f\u007f]+/g, " "));
  return `${name} = ${line.length > 160 ? `${line.slice(0, 157)}...` : line}`;
}

/** Passwords that stand in commands and addresses in the usual ways. */
function withoutPasswords(line: string): string {
  return line
    .replace(/((?:pass(?:word|wd|phrase)?|pwd|secret|token)["']?\s*[=:]\s*)[^\s"]+/gi, "$1…")
    .replace(/(:\/\/[^\s:@/]+:)[^\s@]+@/g, "$1…@")
    .replace(/(\s-p)[^\s"-][^\s"]*/g, "$1…")
    .replace(/(--?pass(?:word|wd|phrase)?\s+)[^\s"]+/gi, "$1…");
}
