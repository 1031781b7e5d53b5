/** What an import does with one directive in an otherwise ordinary configuration. */

import { writeFileSync } from "node:fs";
import path from "node:path";
import type { Finding } from "../../common/bacula/map/types.js";
import { foldName } from "../../common/config/diagnostics.js";
import { type Builds, planImport } from "../../director/admin/import/plan.js";
import { readOriginals } from "../../director/admin/import/read.js";

/** Directives that resources cannot be without, by resource. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  Director: ["Name = a-dir"],
  Job: [
    "Name = j",
    "Type = Backup",
    "Client = c-fd",
    "FileSet = F",
    "Pool = P",
    "Storage = S",
    "Messages = M",
  ],
  Client: ["Name = c-fd", "Address = c"],
  Storage: ["Name = S", "Address = s", "Device = D", "Media Type = File"],
  Pool: ["Name = P", "Pool Type = Backup"],
  Schedule: ["Name = W", "Run = mon at 1:00"],
  Messages: ["Name = M", "Console = all"],
  Console: ["Name = o"],
  "Storage daemon": ["Name = a-sd"],
  Device: ["Name = D", "Media Type = File", "Archive Device = /v"],
  "File daemon": ["Name = c-fd"],
};

const BLOCKS: Readonly<Record<string, (line: string) => string>> = {
  FileSet: (line) => `FileSet { Name = F\n${line}\nInclude { File = /etc\n}\n}`,
  Include: (line) => `FileSet { Name = F\nInclude {\n${line}\nFile = /etc\n}\n}`,
  Options: (line) => `FileSet { Name = F\nInclude {\nOptions {\n${line}\n}\nFile = /etc\n}\n}`,
  RunScript: (line) =>
    `${block("Job", "", ["JobDefs = unused"])}`.replace(
      "JobDefs = unused",
      `RunScript {\n${line}\n${without("Command", ["Command = /opt/x"], line)}\nRuns When = Before\n}`,
    ),
};

function without(name: string, lines: readonly string[], given: string): string {
  return foldName(given).startsWith(foldName(name)) ? "" : lines.join("\n");
}

function block(section: string, line: string, more: readonly string[] = []): string {
  const kind = section === "Storage daemon" ? "Storage" : section === "File daemon" ? "FileDaemon" : section;
  const given = foldName(line.split("=")[0]!);
  const needed = NEEDED[section]!.filter((each) => foldName(each.split("=")[0]!) !== given);
  return [`${kind} {`, ...needed, ...more, more.length > 0 ? "" : line, "}"].join("\n");
}

const SD = ["Storage daemon", "Device"];
const FD = ["File daemon"];

/** All resources of a file, with `line` in the one that is asked for. */
function fileOf(sections: readonly string[], section: string, line: string): string {
  const parts = sections.map((each) => {
    if (BLOCKS[section] !== undefined && each === (section === "RunScript" ? "Job" : "FileSet")) {
      return BLOCKS[section](line);
    }
    if (each === "FileSet") return "FileSet { Name = F\nInclude { File = /etc\n}\n}";
    return block(each, each === section ? line : "");
  });
  return parts.join("\n");
}

const DIRECTOR = [
  "Director",
  "Messages",
  "Pool",
  "Schedule",
  "Storage",
  "Client",
  "FileSet",
  "Job",
  "Console",
];

/**
 * What is said about a directive: nothing, when it is carried over as it is. `section`: the resource or block, as in
 * docs/from-bacula.md.
 */
export function findingsOf(
  directory: string,
  builds: Builds,
  { section, line }: { section: string; line: string },
): readonly Finding[] {
  const texts = {
    "bacula-dir.conf": fileOf(DIRECTOR, section, line),
    "bacula-sd.conf": `Director { Name = a-dir }\n${fileOf(SD, section, line)}`,
    "bacula-fd.conf": `Director { Name = a-dir }\n${fileOf(FD, section, line)}`,
  };
  const files = Object.entries(texts).map(([name, text]) => {
    const file = path.join(directory, name);
    writeFileSync(file, `${text}\n`);
    return { file, lines: text.split("\n") };
  });
  const catalogCopy = { command: "copy", directory: "/copy" };
  const { findings } = planImport(readOriginals(files.map(({ file }) => file)), {
    builds,
    deduplicate: false,
    catalogCopy,
  });
  return findings.filter(({ at }) =>
    files.some((each) => each.file === at.file && each.lines[at.line - 1] === line),
  );
}
