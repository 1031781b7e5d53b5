/** Volumes that somebody made up: what they say must not reach a terminal, a stack, or a loop unchecked. */
import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { contentDigest } from "../../common/format/content.js";
import { decodeFrameIndex, encodeFrameIndex, encodeRecord, RecordKind } from "../../common/format/frame.js";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { GarbledInput } from "../../common/format/varint.js";
import { FileStore } from "../store/file-store.js";
import { printable, runVolumeCommand } from "./cli.js";
import { TEST_JOB, TEST_UUID, TEST_VOLUME, writeTestConfig, writeVolume } from "./fixture.js";
import { parseObject, uuidBytes } from "./json.js";
import { parseRowLine } from "./manifest-line.js";
import { decodeJobEnd } from "./records.js";

const ESCAPE = "\u001b[31m\u009b2J";
const END = {
  ...TEST_JOB,
  revision: 2,
  manifest: 1,
  closing: [0, Number.MAX_SAFE_INTEGER],
  status: "T",
  endMs: 1_790_000_060_000,
  rows: 1,
  files: 1,
  bytes: 7,
  parents: [] as string[],
  bases: [] as string[],
  volumes: [TEST_VOLUME],
};

const record = (kind: RecordKind, value: object | string): Buffer =>
  encodeRecord(kind, Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));

async function run(...args: string[]): Promise<{ status: number; text: string }> {
  let text = "";
  const add = async (more: string): Promise<void> => {
    text += more;
  };
  const status = await runVolumeCommand(args, { out: add, err: add });
  return { status, text };
}

async function made(t: TestContext, ...records: Buffer[]): Promise<{ directory: string; volume: string }> {
  const directory = mkdtempSync(join(tmpdir(), "basalt-hostile-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const volume = join(directory, TEST_VOLUME);
  const data = Buffer.from("content");
  const row = { ...emptyRow("file", EntryType.file), size: data.length, content: contentDigest(data) };
  await writeVolume(new FileStore(), volume, { rows: [row], files: new Map([["file", data]]) });
  for (const bytes of records) appendFileSync(volume, bytes);
  return { directory, volume };
}

const deep = (levels: number): string =>
  `${JSON.stringify(TEST_JOB).slice(0, -1)},"more":${"[".repeat(levels)}${"]".repeat(levels)}}`;

test("a job that lies over itself, counts without end and text that goes too deep cost no other job", async (t) => {
  const other = { ...END, job: `x${ESCAPE}\nAll is well`, parents: [TEST_UUID] };
  const records = [record(RecordKind.jobBegin, deep(200_000)), record(RecordKind.jobEnd, other)];
  const { directory, volume } = await made(t, ...records);
  const config = writeTestConfig(directory);
  const { status, text } = await run("scan", volume, "-c", config);
  assert.equal(status, 3, text);
  assert.match(text, /job record is nested too deeply/);
  assert.match(
    text,
    /JobId 12 \(x\\033\[31m\\302\\2332J\\012All is well, Full\) is left out: it lies over itself/,
  );
  assert.match(text, /0 jobs can be restored\n1 jobs are left out/);
});

test("extract: lists in a ring, text for terminals, numbers of jobs without end", async (t) => {
  const records = [
    record(RecordKind.jobEnd, { ...END, job: `x${ESCAPE}`, parents: [ESCAPE] }),
    record(RecordKind.jobEnd, { ...END, jobUuid: TEST_UUID.replace("0f", "1f"), jobId: 13, endMs: 1 }),
  ];
  const { volume, directory } = await made(t, ...records);
  const listed = await run("extract", volume, "--list", "--job", "12");
  assert.equal(listed.status, 1);
  assert.match(listed.text, /lies over job \\033\[31m\\302\\2332J, whose list is on none of these volumes/);
  assert.match(listed.text, /\/file\n/);
  const none = await run("extract", volume, "--list", "--job", "13");
  assert.match(none.text, /the list of job 13 .* is damaged or not on these volumes/);
  assert.match(
    (await run("extract", volume, "--to", directory, "--job", "7")).text,
    /finished jobs here: 13, 12/,
  );
  for (const verb of ["ls", "verify"]) assert.doesNotMatch((await run(verb, volume)).text, /[\u001b\u009b]/);
});

test("chunks of an index that overlap are refused", () => {
  const entry = { digest: contentDigest(Buffer.from("x")), offset: 0, length: 1024 };
  const index = { jobUuid: uuidBytes(TEST_UUID), sequence: 0, compressedBytes: 100, rawBytes: 4096 };
  const decode = (entries: (typeof entry)[]) => decodeFrameIndex(encodeFrameIndex({ ...index, entries }));
  assert.equal(decode([entry, { ...entry, offset: 1024 }]).entries.length, 2);
  for (const offset of [0, 512, 1023])
    assert.throws(() => decode([entry, { ...entry, offset }]), /chunks that overlap/);
});

test("JSON: depth is bounded, brackets in text are none, keys of prototypes are keys", () => {
  const parse = (text: string) => parseObject(Buffer.from(text), "it");
  assert.throws(() => parse(deep(64)), GarbledInput);
  assert.equal(Object.keys(parse(deep(63))).length, Object.keys(TEST_JOB).length + 1);
  const text = `${"[".repeat(500)}\\"${"{".repeat(500)}`;
  assert.deepEqual(parse(JSON.stringify({ text, next: [1] })), { text, next: [1] });
  const odd = `${JSON.stringify(END).slice(0, -1)},"__proto__":{"polluted":true},"constructor":1}`;
  const end = decodeJobEnd(Buffer.from(odd));
  assert.equal((end as { polluted?: unknown }).polluted, undefined);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  assert.throws(
    () => decodeJobEnd(Buffer.from(JSON.stringify({ ...END, status: "R" }))),
    /impossible status/,
  );
});

test("times that a list block cannot hold are refused where they are read", () => {
  const line = (time: number) => parseRowLine(`f\t/a\t0644\t0\t0\t0\t${time}\t-\t-\t-\t-\t-`).row.mtimeSec;
  for (const time of [2 ** 52 - 1, -(2 ** 52)]) assert.equal(line(time), time);
  for (const time of [2 ** 52, -(2 ** 52) - 1, 2 ** 53 - 1]) assert.throws(() => line(time), GarbledInput);
});

test("text is printed without what controls a terminal", () => {
  assert.equal(printable("plain ü \\033\n"), "plain ü \\033\n");
  assert.equal(printable(`${ESCAPE}\r\u202e\u007f`), "\\033[31m\\302\\2332J\\015\\342\\200\\256\\177");
});
