import assert from "node:assert/strict";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { directoryRow, type FakeFiled, fileRow } from "../session/fake-filed.js";
import { TestStorage } from "../session/testing.js";
import { runComparison } from "./run.js";
import type { CompareStep, DriftRequest, MachineDrift } from "./steps.js";

let storage: TestStorage;
let machine: DriftRequest["machine"];

/** Entries beside the others, so that a comparison has several steps. */
const MANY = 50_000;

const status = (version: string): string =>
  `Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: ${version}\n\n`;
const DPKG = "var/lib/dpkg";

/** A tree with these files, and with many empty directories. */
async function send(fake: FakeFiled, files: Readonly<Record<string, string>>): Promise<void> {
  const all = Object.entries(files).map(([path, text]) => ({
    ...{ key: path.replaceAll("/", "\0"), bytes: Buffer.from(text) },
  }));
  await fake.frame(all);
  const rows = all.map(({ key, bytes }) => fileRow(key, bytes));
  for (let i = 0; i < MANY; i++) rows.push(directoryRow(`d${String(i).padStart(6, "0")}`));
  rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  for (let at = 0; at < rows.length; at += 2000) await fake.rows(rows.slice(at, at + 2000));
  await fake.end();
}

before(async () => {
  storage = await new TestStorage().open();
  const base = await storage.backup(
    (fake) => send(fake, { [`${DPKG}/status`]: status("2"), "usr/bin/a": "a of 2", "usr/bin/c": "c" }),
    { jobName: "ref", level: "Base" },
  );
  const full = await storage.backup(
    (fake) =>
      send(fake, {
        ...{ [`${DPKG}/status`]: status("1"), [`${DPKG}/info/a.list`]: "/.\n/usr\n/usr/bin/a\n" },
        ...{ "usr/bin/a": "a of 1", "usr/bin/b": "b", "usr/bin/c": "changed" },
      }),
    { base: ["ref"] },
  );
  assert.deepEqual([base.result.ok, full.result.ok], [true, true], full.result.reason ?? "");
  machine = { name: "vm", jobId: full.jobId, bases: [base.jobId] };
});
after(() => storage.close());

async function compare(
  wanted: DriftRequest["machine"],
  hear: (step: CompareStep) => void = () => undefined,
  signal = new AbortController().signal,
): Promise<MachineDrift> {
  let found: MachineDrift | undefined;
  const { catalog, store, devices } = storage;
  const tell = async (step: CompareStep): Promise<void> => {
    hear(step);
    if (step.ask === "drift") found = step.drift;
  };
  const what = { request: { drift: { machine: wanted, top: 10 } }, jobIds: [wanted.jobId, ...wanted.bases] };
  await runComparison({ catalog, store, devices: () => devices }, what, tell, signal);
  return found!;
}

const shown = ({ packages, notes, updates, entries }: MachineDrift) => ({
  ...{ packages, notes, updates: updates.packages.map(({ name }) => name) },
  entries: entries.map((each) => each.map(({ path }) => path)),
});
const NOTHING: string[] = [];
/** In the order of DRIFT_KINDS. */
const EXPECTED = {
  ...{ packages: "dpkg", notes: NOTHING, updates: ["a"] },
  entries: [[], [], ["/usr/bin/a"], ["/usr/bin/c"], ["/usr/bin/b"], [], [], [], []],
};

test("a machine and its Base are compared, with the packages that their volumes hold", async () => {
  const steps: string[] = [];
  const drift = await compare(machine, ({ ask }) => void steps.push(ask));
  assert.deepEqual(shown(drift), EXPECTED);
  assert.equal(drift.same.entries, MANY);
  assert.ok(steps.filter((ask) => ask === "progress").length >= 3, steps.join());
});

test("what is interrupted ends with the reason, and the next comparison is not the worse for it", async () => {
  const abort = new AbortController();
  const reason = new Error("enough");
  const hear = ({ ask }: CompareStep): void => {
    if (ask === "progress") abort.abort(reason);
  };
  await assert.rejects(compare(machine, hear, abort.signal), reason);
  await assert.rejects(compare(machine, undefined, abort.signal), reason);
  assert.deepEqual(shown(await compare(machine)), EXPECTED);
});

test("a package database that cannot be read is told of, and the rest is compared", async () => {
  const volume = join(storage.directory, readdirSync(storage.directory).find((name) => /^Vol-/.test(name))!);
  renameSync(volume, `${volume}.away`);
  const away = await compare(machine);
  assert.equal(away.packages, "none");
  assert.match(away.notes[0]!, /^\/var\/lib\/dpkg\/status of vm: .*no such file/);
  assert.equal(away.same.entries, MANY);
  const whole = readFileSync(`${volume}.away`);
  const damaged = Buffer.from(whole);
  for (let at = 1000; at < damaged.length; at += 50) damaged[at]! ^= 0x55;
  writeFileSync(volume, damaged);
  const broken = await compare(machine);
  assert.equal(broken.packages, "none");
  assert.match(broken.notes[0]!, /^\/var\/lib\/dpkg\/status of vm: /);
  writeFileSync(volume, whole);
  assert.deepEqual(shown(await compare(machine)), EXPECTED);
});

test("a run that is not there is named", async () => {
  await assert.rejects(
    compare({ ...machine, bases: [99] }),
    /JobId 99 is not a finished backup of this storage/,
  );
});
