/** Imports into directories of a test, with the loaders of all daemons. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";
import { packageRoot } from "../../common/package.js";
import { runImport } from "../../director/admin/import/import.js";
import { loadDirectorConfig } from "../../director/config/load.js";
import { importLoaders } from "../../scripts/cli-import.js";

export const parent = mkdtempSync(path.join(tmpdir(), "basalt-import-"));
after(() => rmSync(parent, { recursive: true }));
export const fixtures = path.join(packageRoot(), "test/import/fixtures");
const loaders = await importLoaders();
export const ORIGINALS = ["bacula-dir.conf", "bacula-sd.conf", "bacula-fd.conf", "bconsole.conf"].map(
  (name) => path.join(fixtures, name),
);

export interface Imported {
  status: number;
  directory: string;
  report: string;
}

export async function importInto(name: string, inputs: readonly string[], more = {}): Promise<Imported> {
  const directory = path.join(parent, name);
  const lines: string[] = [];
  const options = { inputs, directory, ...more };
  const status = await runImport(options, loaders, (line) => void lines.push(line));
  return { status, directory, report: lines.join("\n") };
}

export function importText(name: string, text: string, more = {}): Promise<Imported> {
  const file = path.join(parent, `${name}.conf`);
  writeFileSync(file, text);
  return importInto(name, [file], more);
}

export const at = (directory: string, name: string): string => path.join(directory, name);
export const director = (directory: string) => loadDirectorConfig(at(directory, "director.yaml"));

/** A director's file that is complete with little. */
export const SMALL = `
Director { Name = s-dir; Password = x; Messages = M; QueryFile = "/q"; WorkingDirectory = "/w"; PidDirectory = "/p" }
Messages { Name = M; console = all }
Catalog { Name = C; dbname = b; dbuser = u; dbpassword = p }
Pool { Name = P; Pool Type = Backup; Label Format = V- }
Storage { Name = S; Address = sd; Password = x; Device = D; Media Type = File }
Client { Name = c-fd; Address = c; Password = x; Catalog = C }
Schedule { Name = W; Run = mon at 1:00 }
`;
