/** What an import did with every directive, for people. */

import type { Finding, Outcome } from "../../../common/bacula/map/types.js";
import { baculaTime, nowMs } from "../../../common/time.js";
import type { ImportPlan } from "./plan.js";
import type { Originals } from "./read.js";

export interface ReportData
  extends Pick<Originals, "files" | "otherFiles" | "commands" | "latin1Files">,
    Pick<ImportPlan, "findings" | "carried" | "total"> {
  readonly directory: string;
  /** What is to be done now, line by line. */
  readonly steps: readonly string[];
}

const SECTIONS: readonly (readonly [outcome: Outcome, heading: string])[] = [
  ["wrong", "WRONG: left out, and Bacula would not take it either"],
  ["unsupported", "NOT SUPPORTED: left out, with this consequence"],
  ["differs", "DIFFERENT: carried over, and behaves in another way"],
  ["replaced", "REPLACED: something else does this"],
  ["without effect", "WITHOUT EFFECT: there is nothing that it could act on"],
];

/** True when something was left out that did something. */
export function hasLosses({ findings, commands }: Pick<ReportData, "findings" | "commands">): boolean {
  return (
    commands.length > 0 || findings.some(({ outcome }) => outcome === "wrong" || outcome === "unsupported")
  );
}

/** One line: how many directives became what. */
export function summary({ findings, commands, carried, total }: ReportData): string {
  const count = (outcome: Outcome): number => findings.filter((each) => each.outcome === outcome).length;
  const parts = SECTIONS.map(([outcome]) => `${count(outcome)} ${outcome === "wrong" ? "wrong" : outcome}`);
  const skipped = commands.length === 0 ? "" : `; ${commands.length} includes by a command were not run`;
  return `${total} directives, ${carried} carried over; notes: ${parts.join(", ")}${skipped}`;
}

/** The whole report. It never holds a password. */
export function reportText(data: ReportData): string {
  const { directory, files, otherFiles, findings, commands, latin1Files, steps } = data;
  const lines = [
    `Import into ${directory}, ${baculaTime(nowMs())}`,
    "",
    summary(data),
    "Directives that are not named below were carried over as they are.",
    "",
    "Files read:",
    ...files.map((file) => `  ${file}`),
  ];
  if (otherFiles.length > 0) {
    lines.push("", "Of the tray monitor, which is not part of this; left aside:");
    lines.push(...otherFiles.map((file) => `  ${file}`));
  }
  if (latin1Files.length > 0) {
    lines.push(
      "",
      "Not UTF-8, read as ISO 8859-1. File names in it that hold other letters than ASCII do not",
    );
    lines.push("fit the bytes on disk: name a directory above them, or use a list (<file).");
    lines.push(...latin1Files.map((file) => `  ${file}`));
  }
  if (commands.length > 0) {
    lines.push(
      "",
      "INCLUDES BY A COMMAND: never run. What they would have brought is missing. Name the files that",
    );
    lines.push('they print in the command line of "basalt import" as well:');
    for (const { command, at } of commands) lines.push(`  ${at.file}:${at.line}  ${oneLine(command)}`);
  }
  for (const [outcome, heading] of SECTIONS) {
    lines.push(
      ...section(
        heading,
        findings.filter((each) => each.outcome === outcome),
      ),
    );
  }
  lines.push("", "WHAT TO DO NOW", ...steps.map((step) => `  ${step}`));
  return `${lines.join("\n")}\n`;
}

/** Equal texts once, with all places. */
function section(heading: string, findings: readonly Finding[]): string[] {
  if (findings.length === 0) return [];
  const byText = new Map<string, Finding[]>();
  for (const finding of findings) {
    const known = byText.get(finding.text) ?? [];
    known.push(finding);
    byText.set(finding.text, known);
  }
  const lines = ["", `${heading} (${findings.length})`];
  for (const [text, places] of byText) {
    lines.push("", `* ${oneLine(text)}`);
    for (const { at, what } of places) lines.push(`    ${at.file}:${at.line}  ${oneLine(what)}`);
  }
  return lines;
}

function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}
