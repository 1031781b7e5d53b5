/** Advice and drift as text. */

import { formatBytes, withCommas } from "../../../common/units.js";
import { plural } from "../format.js";
import { formatTable, type Row } from "../table.js";
import type {
  Advice,
  AdvisedMachine,
  AdvisedOption,
  Drift,
  DriftedFile,
  DriftedMachine,
  DriftedPackage,
  ListName,
  Skipped,
} from "./types.js";

const OPTION_COLUMNS = [
  "",
  "Base",
  "Same",
  "Rows",
  "KnownBytes",
  "NewBytes",
  "ReadBytes",
  "SavedRows",
  "SavedBytes",
];
const REFERENCE_COLUMNS = ["Reference", "Entries", "Bytes", "Machines", "SavedRows", "SavedBytes"];
const DRIFT_COLUMNS = [
  "Machine",
  "JobId",
  "Base",
  "Changed",
  "Unmanaged",
  "Updates",
  "Missing",
  "SameContent",
  "New",
];

export function adviceText({ machines, newReferences, skipped }: Advice): string {
  const parts = machines.map(machineAdvice);
  if (newReferences.length > 0) {
    const rows = newReferences.map((each) => ({
      Reference: partName(each),
      Entries: each.entries,
      Bytes: each.bytes,
      Machines: each.machines.join(", "),
      SavedRows: each.savedRows,
      SavedBytes: each.savedBytes,
    }));
    parts.push(
      `References that do not exist yet, and what they would save beyond the best list of those that do:\n${formatTable(REFERENCE_COLUMNS, rows)}`,
    );
  }
  return parts.join("\n") + skippedText(skipped);
}

function machineAdvice({ machine, jobId, entries, bytes, now, options, notes }: AdvisedMachine): string {
  const row = (mark: string, option: AdvisedOption): Row => ({
    "": mark,
    Base: option.base.length === 0 ? "(none)" : option.base.map(partName).join(", "),
    Same: option.sameEntries,
    Rows: option.rows,
    KnownBytes: option.knownBytes,
    NewBytes: option.newBytes,
    ReadBytes: option.readBytes,
    SavedRows: mark === "now" ? "" : option.savedRows,
    SavedBytes: mark === "now" ? "" : option.savedBytes,
  });
  const rows = [row("now", now), ...options.map((option, i) => row(String(i + 1), option))];
  const head = `${machine} (JobId ${jobId}): ${plural(entries, "entry").replace("entrys", "entries")}, ${formatBytes(bytes)}\n`;
  const none = options.length === 0 ? "Nothing that was tried saves 1 % against now.\n" : "";
  return head + notesText(notes) + formatTable(OPTION_COLUMNS, rows) + none;
}

function partName({ kind, lists }: { kind: string; lists: readonly ListName[] }): string {
  const names = lists.map(({ name }) => name);
  if (kind === "machine") return `[as ${names[0]}]`;
  return kind === "common" ? `[common to ${names.join(", ")}]` : names.join(", ");
}

/** Heads of the lists of entries, in the order in which they are printed. */
const FILE_HEADS: Readonly<Record<string, string>> = {
  package: "Changed package files",
  unmanaged: "Unmanaged programs and libraries",
  "missing-package": "Missing package files",
  configuration: "Changed configuration files",
  changed: "Other files of the Base that changed",
  version: "Files of packages with another version",
  added: "Files of packages that the Base lacks",
  extra: "Other files that the Base lacks",
  missing: "Other entries of the Base that are missing",
};
const PACKAGE_HEADS: Readonly<Record<string, string>> = {
  updates: "Missing updates",
  newer: "Newer than in the Base",
  added: "Not in the Base",
  removed: "Only in the Base",
};
/** Kinds that are named in text; of the others only the number is told. */
const NAMED: ReadonlySet<string> = new Set(["package", "unmanaged", "missing-package", "configuration"]);

export function driftText({ machines, skipped }: Drift): string {
  const parts = machines.map(machineDrift);
  if (machines.length > 1) parts.push(formatTable(DRIFT_COLUMNS, machines.map(overview)));
  return parts.join("\n") + skippedText(skipped);
}

function overview(drift: DriftedMachine): Row {
  return {
    Machine: drift.machine,
    JobId: drift.jobId,
    Base: basesText(drift),
    Changed: fileKind(drift, "package").entries,
    Unmanaged: fileKind(drift, "unmanaged").entries,
    Updates: drift.packages.find(({ kind }) => kind === "updates")?.count ?? 0,
    Missing: fileKind(drift, "missing-package").entries + fileKind(drift, "missing").entries,
    SameContent: drift.known.bytes,
    New: drift.fresh.bytes,
  };
}

function machineDrift(drift: DriftedMachine): string {
  const { machine, jobId, same, known, fresh, notes, packageDatabase } = drift;
  const lines = [
    `${machine} (JobId ${jobId}) over ${basesText(drift)}`,
    `  ${"Same path and metadata".padEnd(44)}${amountText(same)}`,
    `  ${"Same content, a row of its own".padEnd(44)}${amountText(known)}`,
    `  ${"New content".padEnd(44)}${amountText(fresh)}`,
  ];
  if (packageDatabase !== "dpkg") lines.push(`  ${NO_PACKAGES[packageDatabase] ?? NO_PACKAGES.none}`);
  for (const { kind, count, named } of drift.packages) {
    if (count === 0) continue;
    lines.push(`  ${PACKAGE_HEADS[kind]!.padEnd(44)}${plural(count, "package")}`);
    lines.push(...named.map((each) => `    ${packageText(each)}`), ...more(count, named.length));
  }
  for (const [kind, head] of Object.entries(FILE_HEADS)) {
    const { entries, bytes, named } = fileKind(drift, kind);
    if (entries === 0) continue;
    lines.push(`  ${head.padEnd(44)}${amountText({ entries, bytes })}`);
    if (NAMED.has(kind)) lines.push(...named.map(fileText), ...more(entries, named.length));
  }
  return `${lines.join("\n")}\n${notesText(notes)}`;
}

const NO_PACKAGES: Readonly<Record<string, string>> = {
  rpm: "An rpm database cannot be read from a file list: files at a path of the Base count as those of packages.",
  none: "No package database was found: files at a path of the Base count as those of packages.",
};

const fileKind = (drift: DriftedMachine, wanted: string) =>
  drift.files.find(({ kind }) => kind === wanted) ?? { entries: 0, bytes: 0, named: [] };

const basesText = ({ bases }: DriftedMachine): string =>
  bases.map(({ name, jobId }) => `${name} (JobId ${jobId})`).join(", ");

function amountText({ entries, bytes }: { entries: number; bytes: number }): string {
  return `${withCommas(entries)} ${entries === 1 ? "entry" : "entries"}, ${formatBytes(bytes)}`;
}

function packageText({ name, architecture, version, baseVersion }: DriftedPackage): string {
  const which = `${name} (${architecture})`;
  if (version === "") return `${which} ${baseVersion}`;
  return baseVersion === "" ? `${which} ${version}` : `${which} ${version}, in the Base ${baseVersion}`;
}

function fileText({ path, size, package: owner, what, known }: DriftedFile): string {
  const facts = [owner, ...what, formatBytes(size), known ? "content is in the Base" : ""];
  return `    ${path} (${facts.filter((fact) => fact !== "").join(", ")})`;
}

const more = (all: number, named: number): string[] =>
  all > named ? [`    … and ${withCommas(all - named)} more (top=N names more)`] : [];

const notesText = (notes: readonly string[]): string => notes.map((note) => `  Warning: ${note}\n`).join("");

function skippedText(skipped: readonly Skipped[]): string {
  return skipped.map(({ machine, reason }) => `${machine} was left out: ${reason}\n`).join("");
}
