/**
 * A backup that was cut off twice and went on: what had been kept is not sent again, and the volumes say the same as
 * the catalog to every reader: the restore, the script that needs nothing of Basalt, the volume tool, and a scan.
 */
import assert from "node:assert/strict";
import { mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { compareTrees } from "../../helpers/compare.js";
import { findReport, reportNumber } from "../../helpers/job-report.js";
import { freePortBase } from "../../helpers/ports.js";
import { REPOSITORY } from "../../helpers/root.js";
import { jobLog, sizeOf, startWriting, until, untilStatus } from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { fileOp, runProgram, runTreeOps } from "../../helpers/tree-ops.js";

const FILES = 30;
const FILE_BYTES = 200_000;
/** At its rate the job takes long enough to be cut off in the middle twice, however slow the machine. */
const RATE = "150 kb/s";
const NO_RESCHEDULE = { RescheduleIncompleteJobs: "no" };
/** More than three files, before a cut. */
const SOME_BYTES = 700_000;

/** A wire to the file daemon that can be cut. */
class Wire {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(port: number, to: number) {
    this.#server = createServer((near) => {
      const far = connect(to, "127.0.0.1");
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on("error", () => other.destroy());
        one.on("close", () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    this.#server.listen(port, "127.0.0.1");
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}

let scenario: Scenario;
let wire: Wire;

before(async () => {
  scenario = await Scenario.create("resumed", { keepConsole: true });
  const { installation } = scenario;
  const root = scenario.path("vm");
  await mkdir(join(root, "empty"), { recursive: true });
  const file = (_: unknown, i: number) =>
    fileOp(`file-${String(i).padStart(2, "0")}`, { kind: "random", size: FILE_BYTES, seed: `${i}` });
  await runTreeOps(root, Array.from({ length: FILES }, file));
  await symlink("file-00", join(root, "link"));
  await writeFile(join(root, "nothing"), "");
  const slow = { ReadLimit: RATE, ...NO_RESCHEDULE };
  await scenario.define([{ name: "vm", job: slow }]);
  const port = await freePortBase(1);
  await installation.editConfig("director", (text) =>
    text.replace(`${installation.portBase + 1}`, `${port}`),
  );
  wire = new Wire(port, installation.portBase + 1);
  await installation.startAll();
});
after(async () => {
  wire?.close();
  await scenario?.close();
});

/** Files that the newest attempt found to be there already. */
function found(jobId: number): number {
  const all = [
    ...jobLog(scenario.installation, jobId).matchAll(/Found (\d+) files from prior incomplete Job\./g),
  ];
  return Number(all.at(-1)?.[1]);
}

/** Marks come every two seconds: there is one by then, also on a machine that has much else to do. */
const untilMarked = (): Promise<void> => sleep(4000);

/** Lets the job go on until it has written some more. */
async function goOn(jobId: number): Promise<void> {
  const volume = scenario.volume("Vol-0001");
  const size = sizeOf(volume);
  await scenario.installation.console([`restart jobid=${jobId}`]);
  await until("more on the volume", () => sizeOf(volume) > size + SOME_BYTES);
}

test("cut off twice, finished, and the same to every reader", async () => {
  const { installation } = scenario;
  const volume = scenario.volume("Vol-0001");
  const jobId = await startWriting(installation, "vm", { volume, bytes: SOME_BYTES, words: "level=Full" });
  await untilMarked();
  wire.cut();
  await untilStatus(installation, jobId, "I");
  await goOn(jobId);
  const first = found(jobId);
  assert.ok(first > 3 && first < FILES, jobLog(installation, jobId));
  await untilMarked();
  await installation.kill("filed", "SIGKILL");
  await installation.start("filed");
  await untilStatus(installation, jobId, "I");
  await scenario.untilAnswering("t-fd");
  await scenario.redefine([{ name: "vm", job: NO_RESCHEDULE }]);
  await installation.console([`restart jobid=${jobId}`, "wait"]);
  const log = jobLog(installation, jobId);
  assert.equal(await untilStatus(installation, jobId, "TWEA"), "T", log);
  assert.ok(found(jobId) > first + 3, log);
  const report = findReport(log.slice(log.lastIndexOf("Restart Incomplete")), jobId)!;
  const missing = (FILES + 4 - found(jobId) + 1) * FILE_BYTES;
  assert.ok(reportNumber(report, "FD Bytes Sent") <= missing * 1.01, report.report);

  await readersAgree(jobId);
});

async function readersAgree(jobId: number): Promise<void> {
  const { installation } = scenario;
  const expected = scenario.path("vm");
  await scenario.restoresAs("vm", expected);
  const volumes = (await readdir(scenario.volume(""))).map((name) => scenario.volume(name));
  const script = join(REPOSITORY, "conf", "restore-without-basalt.sh");
  const plain = scenario.path("plain");
  await runProgram("sh", [script, String(jobId), plain, ...volumes]);
  assert.deepEqual(await compareTrees(expected, plain), []);
  for (const which of [[], ["--job", String(jobId)]]) {
    const to = scenario.path(`extracted${which.length}`);
    await runProgram(scenario.basalt, ["volume", "extract", ...volumes, ...which, "--to", to]);
    assert.deepEqual(await compareTrees(expected, to), []);
  }
  await installation.stop();
  const catalog = join(installation.dir, "var", "storaged");
  for (const name of await readdir(catalog))
    if (/\.db(-wal|-shm)?$/.test(name)) await rm(join(catalog, name));
  const args = ["volume", "scan", ...volumes, "-c", join(installation.dir, "storaged.yaml")];
  assert.match(await runProgram(scenario.basalt, args), /\n1 jobs can be restored\n/);
  await installation.startAll();
  await scenario.restoresAs("vm", expected);
}
