/**
 * What end-to-end scenarios share: a temporary directory with an installation in it, machines whose trees are backed
 * up, and checks that say everything needed when they fail.
 */
import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { type CompareOptions, compareTrees, listTree, rsyncDifferences } from "./compare.js";
import { Installation, type RestoreOptions, runCommand } from "./installation.js";
import { type JobReport, reportNumber } from "./job-report.js";
import { helperProgram, REPOSITORY } from "./root.js";
import { until } from "./running.js";
import { removeTree, runProgram } from "./tree-ops.js";

/** A job and a FileSet of the same name. */
export interface Machine {
  name: string;
  /** Directory whose content is the machine's tree; it becomes `/` in stored names. (Default: path(name)) */
  root?: string;
  /** Names for the job's `Base`. */
  base?: string[];
  /** (Default: Incremental) */
  level?: "Base" | "Full" | "Incremental" | "Differential";
  pool?: string;
  /** Further directives of the Job. */
  job?: Record<string, unknown>;
  /** Directives of the FileSet's Options. */
  options?: Record<string, unknown>;
  /** Names below the root, absolute. (Default: the root itself) */
  files?: string[];
  /** Absolute names that are left out. */
  exclude?: string[];
}

/** A pool that makes its volumes itself, `NAME-0001` and so on. */
export interface ScenarioPool {
  name: string;
  [directive: string]: unknown;
}

/** Which state to restore. */
export interface Selection extends Partial<Omit<RestoreOptions, "where">> {
  /** Patterns that rsync leaves out of its comparison. */
  rsyncExclude?: string[];
}

/** A state to restore, and the tree that must come back. */
export interface Expectation extends Selection {
  expected: string;
}

/** Exact copy of a tree in a directory that must not exist; sockets are left out. */
export async function copyTree(from: string, to: string): Promise<void> {
  await runProgram("python3", [helperProgram("copy-tree.py"), from, to]);
}

/** See the head of this file. Call close() in the end. */
export class Scenario {
  readonly dir: string;
  readonly installation: Installation;
  #restores = 0;

  private constructor(dir: string, installation: Installation) {
    this.dir = dir;
    this.installation = installation;
  }

  /** Makes the installation; nothing is started yet. `keepConsole`: everything is asked of one console. */
  static async create(name: string, options: { keepConsole?: boolean } = {}): Promise<Scenario> {
    const dir = await mkdtemp(join(tmpdir(), `basalt-${name}-`));
    try {
      const installation = await Installation.create(join(dir, "installation"), { name: "t" });
      if (options.keepConsole === true) installation.keepConsole();
      return new Scenario(dir, installation);
    } catch (error) {
      await removeTree(dir);
      throw error;
    }
  }

  /** Ends the daemons and removes everything. */
  async close(): Promise<void> {
    await this.installation.stop();
    if (process.env.BASALT_KEEP) console.log(`kept ${this.dir}`);
    else await removeTree(this.dir);
  }

  path(...parts: string[]): string {
    return join(this.dir, ...parts);
  }

  /** Adds or replaces the resources of machines. They count from the next start or reload on. */
  async define(machines: Machine[], pools: ScenarioPool[] = []): Promise<void> {
    for (const machine of machines) {
      const root = machine.root ?? this.path(machine.name);
      await this.installation.writeResources(machine.name, resources({ ...machine, root }));
    }
    for (const { name, ...directives } of pools) {
      const Pool = [{ Name: name, PoolType: "Backup", LabelFormat: `${name}-`, ...directives }];
      await this.installation.writeResources(`pool-${name}`, { Pool });
    }
  }

  /** define() while the director runs. */
  async redefine(machines: Machine[], pools: ScenarioPool[] = []): Promise<void> {
    await this.define(machines, pools);
    await this.installation.console(["reload"]);
  }

  /** Waits until the director gets an answer from a client that was away. A job waits for it, but not for ever. */
  async untilAnswering(client: string): Promise<void> {
    await until(`${client} answers`, async () =>
      (await this.installation.console([`status client=${client}`])).includes(`\n${client} Version: `),
    );
  }

  /** Runs a backup that must end with `termination`. */
  async backup(machine: string, level: string, termination = "Backup OK", words = ""): Promise<JobReport> {
    const report = await this.installation.runJob(machine, { level, words });
    assert.equal(report.termination, termination, report.report);
    return report;
  }

  /** Restores a machine into a new directory, which is the result. Everything must come back. */
  async restore(machine: string, options: Partial<RestoreOptions> = {}): Promise<string> {
    const where = options.where ?? this.path(`restored-${++this.#restores}`);
    const report = await this.installation.restore({ fileSet: machine, ...options, where });
    assert.equal(report.termination, "Restore OK", report.report);
    return where;
  }

  /** Restores and compares with `expected`; the restored files are removed. */
  async restoresAs(machine: string, expected: string, options: Selection = {}): Promise<void> {
    await this.#runAndCompare([], machine, [{ expected, ...options }]);
  }

  /** Restores several states and compares each. */
  async restoreEach(machine: string, states: Expectation[]): Promise<void> {
    await this.#runAndCompare([], machine, states);
  }

  /** A backup that ends well, then a restore of the newest state, compared with `expected`. */
  async backupAndRestore(
    machine: string,
    level: string,
    expected = this.path(machine),
    options: Selection = {},
  ): Promise<JobReport> {
    const command = runCommand(machine, { level });
    const [report] = await this.#runAndCompare([command], machine, [{ expected, ...options }]);
    return report!;
  }

  /** Everything in one console: starting one takes longer than a small job. */
  async #runAndCompare(commands: string[], machine: string, states: Expectation[]): Promise<JobReport[]> {
    const wheres = states.map(() => this.path(`restored-${++this.#restores}`));
    const restores = states.map(({ expected, rsyncExclude, ...selection }, index) =>
      this.installation.restoreCommand({ fileSet: machine, ...selection, where: wheres[index]! }),
    );
    const reports = await this.installation.runAll([...commands, ...restores]);
    for (const [index, { report, termination }] of reports.entries())
      assert.equal(termination, index < commands.length ? "Backup OK" : "Restore OK", report);
    for (const [index, { expected, rsyncExclude }] of states.entries()) {
      await sameTrees(expected, wheres[index]!, rsyncExclude);
      await removeTree(wheres[index]!);
    }
    return reports;
  }

  /** Names of all entries below a directory, in path order. */
  async names(dir: string): Promise<string[]> {
    return (await listTree(dir, { content: false, root: false })).map(({ name }) => name);
  }

  /** Rows of a job in the catalog: entries and deletions. */
  rows(jobId: number): number {
    const row = this.#query<{ rows: number }>("SELECT rows FROM job WHERE job_id = ?", jobId);
    if (!row) throw new Error(`the catalog has no job ${jobId}`);
    return row.rows;
  }

  /** Blocks of a job's own file list that are in the catalog: 0 when it was dropped. */
  listBlocks(jobId: number): number {
    const sql =
      "SELECT count(*) AS blocks FROM list_in_force WHERE job = (SELECT max(id) FROM job WHERE job_id = ?)";
    return this.#query<{ blocks: number }>(sql, jobId)?.blocks ?? 0;
  }

  /** The launcher of the program under test. */
  get basalt(): string {
    return join(REPOSITORY, "basalt");
  }

  /** Path of a volume's file. */
  volume(name: string): string {
    return join(this.installation.dir, "storage", name);
  }

  #query<T>(sql: string, ...values: unknown[]): T | undefined {
    const file = join(this.installation.dir, "var", "storaged", "catalog.db");
    const db = new Database(file, { readonly: true, timeout: 10_000 });
    try {
      return db.prepare(sql).get(...values) as T | undefined;
    } finally {
      db.close();
    }
  }
}

function resources(machine: Machine & { root: string }): Record<string, Record<string, unknown>[]> {
  const { name, root, base, level, pool, job, options, files, exclude } = machine;
  const Include = { Root: root, File: files ?? ["/"], ...(options ? { Options: options } : {}) };
  return {
    FileSet: [{ Name: name, Include, ...(exclude ? { Exclude: { File: exclude } } : {}) }],
    Job: [
      {
        Name: name,
        Type: "Backup",
        Level: level ?? "Incremental",
        Client: "t-fd",
        FileSet: name,
        Storage: "File",
        Messages: "Standard",
        Pool: pool ?? "Default",
        ...(base ? { Base: base } : {}),
        ...job,
      },
    ],
  };
}

/** Fails unless two trees are equal in everything that a backup keeps, for list-tree.py and for rsync. */
export async function sameTrees(
  expected: string,
  actual: string,
  rsyncExclude: string[] = [],
  options: CompareOptions = {},
): Promise<void> {
  assert.deepEqual(await compareTrees(expected, actual, options), []);
  assert.deepEqual(await rsyncDifferences(expected, actual, rsyncExclude), []);
}

/** Fails unless a backup wrote so many rows and sent so much file content. */
export function wrote(report: JobReport, expected: { files?: number; sent?: number }): void {
  if (expected.files !== undefined)
    assert.equal(reportNumber(report, "SD Files Written"), expected.files, report.report);
  if (expected.sent !== undefined)
    assert.equal(reportNumber(report, "FD Bytes Sent"), expected.sent, report.report);
}

/** The console's form of the next second, which has come and gone when this resolves. */
export async function pointInTime(): Promise<string> {
  const now = new Date(Date.now() + 1000);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
  await sleep(2050 - now.getMilliseconds());
  return `${date} ${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
}
