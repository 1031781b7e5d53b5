/** Configuration of a throw-away Bacula: four files and the tables of its catalog. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import type { Machine } from "../peer.js";

const TABLES = "/usr/share/dbconfig-common/data/bacula-director-sqlite3/install/sqlite3";

/** What the files are filled with. */
export interface BaculaSetup {
  dir: string;
  /** Director, client, storage: three ports in a row. */
  portBase: number;
  machines: readonly Machine[];
  /** Directory where the machine that is backed up is found, the same for all of them. */
  root: string;
}

/**
 * What makes Base jobs pay: the comparison leaves out ctime, which two machines never share (and which would make
 * the first Incremental save every matched file again), and keeps mtime, size, mode and owner.
 */
const OPTIONS = `signature = MD5; compression = LZO; onefs = yes; sparse = yes; aclsupport = yes; xattrsupport = yes
      basejob = pugsm; accurate = pugsm`;

function jobs(setup: BaculaSetup): string {
  return setup.machines
    .map(({ name: machine, kind }, index) => {
      const base = `Level = Incremental\n  Base = ${setup.machines[0]?.name}\n  Accurate = yes`;
      const level = kind === "image" ? "Level = Full" : index === 0 ? "Level = Base" : base;
      return `Client {
  Name = ${machine}-fd; Address = 127.0.0.1; FDPort = ${setup.portBase + 1}; Catalog = Catalog; Password = bench
  AutoPrune = no
}
Job {
  Name = ${machine}
  Type = Backup
  ${level}
  Client = ${machine}-fd; FileSet = Tree; Storage = File; Pool = Default; Messages = Standard
  Spool Attributes = yes
}
`;
    })
    .join("");
}

function directorFile(setup: BaculaSetup): string {
  return `Director {
  Name = bench-dir; DIRport = ${setup.portBase}; DirAddress = 127.0.0.1; Password = bench
  QueryFile = "/etc/bacula/scripts/query.sql"
  WorkingDirectory = "${setup.dir}/work"; PidDirectory = "${setup.dir}/work"
  Messages = Standard; Maximum Concurrent Jobs = 1
}
Catalog { Name = Catalog; dbname = "bacula"; dbuser = ""; dbpassword = "" }
Messages { Name = Standard; console = all, !skipped, !restored; catalog = all, !skipped, !restored }
Pool { Name = Default; Pool Type = Backup; Label Format = "Bench-"; AutoPrune = no; Recycle = no }
Storage {
  Name = File; Address = 127.0.0.1; SDPort = ${setup.portBase + 2}; Password = bench
  Device = FileStorage; Media Type = File
}
FileSet {
  Name = Tree
  Include {
    Options {
      ${OPTIONS}
    }
    File = "${setup.root}"
  }
}
${jobs(setup)}Job {
  Name = Restore; Type = Restore; Client = ${setup.machines[0]?.name}-fd; FileSet = Tree; Storage = File; Pool = Default
  Messages = Standard; Where = /nonexistent
}
`;
}

function clientFile(setup: BaculaSetup): string {
  return `Director { Name = bench-dir; Password = bench }
FileDaemon {
  Name = bench-fd; FDport = ${setup.portBase + 1}; FDAddress = 127.0.0.1
  WorkingDirectory = "${setup.dir}/work"; Pid Directory = "${setup.dir}/work"; Plugin Directory = "/usr/lib/bacula"
}
Messages { Name = Standard; director = bench-dir = all, !skipped, !restored }
`;
}

function storageFile(setup: BaculaSetup): string {
  return `Storage {
  Name = bench-sd; SDPort = ${setup.portBase + 2}; SDAddress = 127.0.0.1
  WorkingDirectory = "${setup.dir}/work"; Pid Directory = "${setup.dir}/work"
}
Director { Name = bench-dir; Password = bench }
Device {
  Name = FileStorage; Media Type = File; Archive Device = "${setup.dir}/volumes"
  LabelMedia = yes; Random Access = yes; AutomaticMount = yes; RemovableMedia = no; AlwaysOpen = no
}
Messages { Name = Standard; director = bench-dir = all }
`;
}

/** Writes dir.conf, fd.conf, sd.conf, console.conf and an empty catalog below `setup.dir`. */
export async function writeBaculaConfig(setup: BaculaSetup): Promise<void> {
  for (const name of ["work", "volumes", "root"]) await mkdir(join(setup.dir, name), { recursive: true });
  const consoleFile = `Director { Name = bench-dir; DIRport = ${setup.portBase}; address = 127.0.0.1; Password = bench }\n`;
  const files: [string, string][] = [
    ["dir.conf", directorFile(setup)],
    ["fd.conf", clientFile(setup)],
    ["sd.conf", storageFile(setup)],
    ["console.conf", consoleFile],
  ];
  for (const [name, text] of files) await writeFile(join(setup.dir, name), text, { mode: 0o600 });
  const catalog = new Database(join(setup.dir, "work", "bacula.db"));
  catalog.exec(await readFile(TABLES, "utf8"));
  catalog.close();
}
