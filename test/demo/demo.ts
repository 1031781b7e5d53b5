/**
 * The demonstration: a reference machine, two virtual machines that look much like it, one installation with all
 * three daemons; Base, Fulls on it, changes, Incrementals, restores, each compared with what was saved. The
 * installation is left standing.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { compareTrees } from "../helpers/compare.js";
import { type DemoTrees, editDemoMachine, makeDemoTrees } from "../helpers/demo-trees.js";
import { DAEMONS, type Daemon, Installation } from "../helpers/installation.js";
import { type JobReport, reportNumber, reportSeconds } from "../helpers/job-report.js";
import { freePortBase } from "../helpers/ports.js";
import { endEarlier, startDetached } from "./daemons.js";
import { printTable, type TableRow } from "./table.js";

const MACHINES = ["vm1", "vm2"] as const;

function say(text: string): void {
  console.log(`\n== ${text}`);
}

/** Jobs and FileSets of the three machines; the reference is a Base job. */
async function defineJobs(installation: Installation, trees: DemoTrees): Promise<void> {
  const roots: [name: string, root: string][] = [
    ["reference", trees.reference],
    ["vm1", trees.vms[0]],
    ["vm2", trees.vms[1]],
  ];
  const common = {
    Type: "Backup",
    Client: installation.client,
    Storage: "File",
    Pool: "Default",
    Messages: "Standard",
  };
  await installation.writeResources("demo", {
    FileSet: roots.map(([name, root]) => ({ Name: name, Include: { Root: root, File: ["/"] } })),
    Job: roots.map(([name]) =>
      name === "reference"
        ? { Name: name, ...common, Level: "Base", FileSet: name }
        : {
            Name: name,
            ...common,
            Level: "Incremental",
            FileSet: name,
            Accurate: "yes",
            Base: [name, "reference"],
          },
    ),
  });
}

function row(name: string, report: JobReport, base: boolean): TableRow {
  return {
    job: name,
    jobId: report.jobId,
    files: reportNumber(report, "SD Files Written"),
    read: reportNumber(report, "FD Bytes Read"),
    sent: reportNumber(report, "FD Bytes Sent"),
    stored: reportNumber(report, "SD Bytes Stored"),
    saved: base ? reportNumber(report, "Base bytes saved") : undefined,
    seconds: reportSeconds(report),
  };
}

async function backup(
  installation: Installation,
  name: string,
  level: string,
  rows: TableRow[],
): Promise<JobReport> {
  const report = await installation.runJob(name, { level });
  if (!report.termination.startsWith("Backup OK"))
    throw new Error(`${name} ${level} failed\n${report.report}`);
  rows.push(row(`${name} ${level}`, report, level === "Full"));
  console.log(`${name} ${level}: ${report.termination}`);
  return report;
}

async function restoreAndCompare(
  installation: Installation,
  name: string,
  tree: string,
  where: string,
): Promise<string> {
  rmSync(where, { recursive: true, force: true });
  const report = await installation.restore({ fileSet: name, where });
  if (report.termination !== "Restore OK") throw new Error(`restore of ${name} failed\n${report.report}`);
  const differences = await compareTrees(tree, where);
  if (differences.length > 0)
    throw new Error(`restore of ${name} differs:\n${differences.slice(0, 20).join("\n")}`);
  const files = report.lines.get("Files Restored") ?? "?";
  const seconds = reportSeconds(report);
  rmSync(where, { recursive: true, force: true });
  return `${name}: ${files} entries in ${seconds} s, equal in content, mode, owner, times, links, attributes, holes`;
}

/** Ends a former demonstration's daemons and makes a new installation beside the kept trees. */
async function freshInstallation(dir: string): Promise<Installation> {
  const home = join(dir, "installation");
  const note = join(dir, "installation.json");
  if (existsSync(note)) await endEarlier(JSON.parse(readFileSync(note, "utf8")) as Record<Daemon, number>);
  rmSync(home, { recursive: true, force: true });
  return await Installation.create(home, { name: "demo", portBase: await freePortBase(3) });
}

async function main(): Promise<void> {
  const dir = resolve(process.argv[2] ?? "var/demo");
  mkdirSync(dir, { recursive: true });
  say("Trees");
  const trees = await makeDemoTrees(dir);
  console.log(trees.how.trim());
  if (process.getuid?.() !== 0) {
    console.log("Not root: owners, devices, capabilities and trusted attributes are left out of the trees.");
  }

  say("Installation");
  const installation = await freshInstallation(dir);
  await defineJobs(installation, trees);
  const pids = {} as Record<Daemon, number>;
  for (const daemon of DAEMONS) pids[daemon] = await startDetached(installation, daemon);
  writeFileSync(join(dir, "installation.json"), JSON.stringify(pids));
  await installation.waitReady();
  console.log(
    `director, filed and storaged listen on 127.0.0.1:${installation.portBase}-${installation.portBase + 2}`,
  );

  say("Backups");
  const rows: TableRow[] = [];
  await backup(installation, "reference", "Base", rows);
  for (const name of MACHINES) await backup(installation, name, "Full", rows);
  for (const [index, name] of MACHINES.entries()) editDemoMachine(trees.vms[index]!, name, 1);
  for (const name of MACHINES) await backup(installation, name, "Incremental", rows);

  say("Restores");
  for (const [index, name] of MACHINES.entries()) {
    console.log(await restoreAndCompare(installation, name, trees.vms[index]!, join(dir, "restored", name)));
  }

  say("What it cost");
  printTable(rows);
  say("The installation stands");
  console.log(`console:  ./basalt console -c ${join(installation.dir, "console.yaml")}`);
  console.log(`end it:   kill ${DAEMONS.map((daemon) => pids[daemon]).join(" ")}`);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  },
);
