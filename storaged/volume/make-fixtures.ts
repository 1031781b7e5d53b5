/**
 * Made the volumes in storaged/volume/fixtures, one or more for each thing that format 1 knows. They are frozen: a later
 * program must read them as they are. Run it only to add new ones; it makes no file that exists.
 *
 *   node build/storaged/volume/make-fixtures.js
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { encodeRecord, RecordKind } from "../../common/format/frame.js";
import { EntryType, encodeXattrs, type Row, RowFlag } from "../../common/format/row.js";
import { packageRoot } from "../../common/package.js";
import { MemoryStore } from "../store/memory-store.js";
import { frameOf } from "./fixture.js";
import {
  beginOf,
  file,
  gone,
  JobWriter,
  memberOf,
  row,
  START_MS,
  sorted,
  text,
  uuidOf,
} from "./fixture-job.js";
import { listingOf, STATES, stateOf } from "./fixture-listing.js";
import { uuidBytes } from "./json.js";
import { VolumeReader } from "./reader.js";
import { decodeJobEnd } from "./records.js";
import { VolumeWriter } from "./writer.js";

const DIRECTORY = join(packageRoot(), "storaged", "volume", "fixtures");
const store = new MemoryStore();

let volumes = 0;
async function newVolume(name: string): Promise<VolumeWriter> {
  return VolumeWriter.create(store, `/v/${name}`, {
    format: 1,
    volume: name,
    volumeUuid: uuidOf("ff", ++volumes),
    pool: "Fixture",
    mediaType: "File",
    storage: "sd1",
    createdMs: START_MS,
  });
}

/** Every sort of entry, in the first Full of an empty pool. */
async function everything(): Promise<void> {
  const writer = await newVolume("everything");
  const job = await JobWriter.start(1, "Full", writer);
  const acl = Buffer.from("0200000001000600ffffffff04000400ffffffff20000000ffffffff", "hex");
  const files: [Row, Buffer][] = [
    file("plain", "a plain file\n", { mtimeNsec: 123_456_789, mode: 0o6755, uid: 33, gid: 34 }),
    file("same-content", "a plain file\n"),
    file("linked/first", "two names", { group: "linked\0first" }),
    file("attributes", "with attributes", {
      xattrs: encodeXattrs([{ name: "user.a=b", value: Buffer.from("x\n\0") }])!,
    }),
    file("large-ids", "ids", { uid: 4_294_967_293, gid: 2_097_152 }),
    file("before-1970", "old", { mtimeSec: -2, mtimeNsec: 750_000_000 }),
    file("after-2242", "new", { mtimeSec: 8_589_934_592 }),
    file("small-sparse", Buffer.concat([Buffer.alloc(8192), Buffer.from("end")]), { flags: RowFlag.sparse }),
    file("unstable", "changed while it was read", { flags: RowFlag.unstable }),
    ...["new\nline", " blank ", "back\\slash", "-", "tab\t", "\xff\xfe", "caf\xc3\xa9", "n".repeat(255)].map(
      (name) => file(`names/${name}`, `named ${name.length}`),
    ),
    ...["order/a/b", "order/a-b", "order/a.b"].map((name) => file(name, name)),
    file(`${"deep/".repeat(60)}end`, "far down"),
  ];
  await job.files(...files);
  const [one, two] = [text("first part", 3000), text("second part", 2000)];
  await job.chunks(one, two, Buffer.from("of Basalt's own name"));
  const deep = Array.from({ length: 60 }, (_, i) => row(`${"deep/".repeat(i)}deep`, EntryType.directory));
  const directory = (key: string, more: Partial<Row> = {}) => row(key, EntryType.directory, more);
  const partsOf = job.parts(one, 4096, two, 100, one);
  const reserved = job.parts(Buffer.from("of Basalt's own name"));
  await job.end(
    sorted([
      ...files.map(([entry]) => entry),
      ...deep,
      directory(""),
      directory("linked", { mode: 0o1777 }),
      directory("names"),
      directory("order"),
      directory("order/a", { mtimeSec: 1, mtimeNsec: 1 }),
      directory("empty-directory", {
        xattrs: encodeXattrs([
          { name: "system.posix_acl_default", value: acl },
          { name: "user.empty", value: Buffer.alloc(0) },
        ])!,
      }),
      directory(".basalt"),
      row(".basalt/kept", EntryType.file, reserved),
      row("linked/second", EntryType.file, { ...files[2]![0], key: "linked\0second" }),
      row("empty", EntryType.file),
      row("in-parts", EntryType.file, { ...partsOf, flags: RowFlag.parts | RowFlag.sparse }),
      row("symlink", EntryType.symlink, { target: "../caf\xe9 \n", mode: 0o777 }),
      row("absolute-link", EntryType.symlink, { target: `/${"x/".repeat(200)}`, mode: 0o777 }),
      row("char", EntryType.charDevice, { major: 1, minor: 3 }),
      row("block", EntryType.blockDevice, { major: 300, minor: 70_000 }),
      row("fifo", EntryType.fifo),
    ]),
    { selfContained: true },
  );
}

/** A job on two volumes: its end stands on the last. */
async function spanning(): Promise<void> {
  const [one, two] = [await newVolume("span-1"), await newVolume("span-2")];
  const job = await JobWriter.start(2, "Full", one);
  const a = file("a", "on the first volume");
  const b = file("b", "on the second volume");
  await job.files(a);
  await job.moveTo(two);
  await job.files(b);
  await job.end([row("", EntryType.directory), a[0], b[0]], { status: "W" });
}

/** A Base, a Full that lies over it, and an Incremental with deletions and content of both. */
async function overBase(): Promise<void> {
  const [one, two] = [await newVolume("base"), await newVolume("delta")];
  const base = await JobWriter.start(3, "Base", one);
  const kept = file("etc/kept", "the same on all machines");
  const changed = file("etc/changed", "as on the Base");
  const part = text("part of the Base", 1500);
  await base.files(
    kept,
    changed,
    file("etc/tree/inside", "goes away"),
    file("etc/flips", "file on the Base"),
  );
  await base.chunks(part);
  const large = base.parts(part, 10_000);
  await base.end(
    sorted([
      row("", EntryType.directory),
      row("etc", EntryType.directory),
      row("etc/tree", EntryType.directory),
      file("etc/tree/inside", "goes away")[0],
      file("etc/flips", "file on the Base")[0],
      row("large", EntryType.file, large),
      kept[0],
      changed[0],
    ]),
  );
  const full = await JobWriter.start(4, "Full", two);
  const own = file("etc/changed", "as on the machine");
  await full.files(own);
  await full.end(
    sorted([own[0], gone("etc/tree"), row("etc/flips", EntryType.symlink, { target: "kept", mode: 0o777 })]),
    { bases: [base.begin.jobUuid] },
  );
  const incremental = await JobWriter.start(5, "Incremental", two);
  const added = text("added at the end", 700);
  await incremental.chunks(added);
  await incremental.end(
    sorted([
      row("large", EntryType.file, incremental.parts(part, 10_000, added)),
      file("etc/copy", "the same on all machines", { mode: 0o600 })[0],
      row("etc/tree", EntryType.directory, { mode: 0o700 }),
      row("etc/flips", EntryType.directory),
      file("etc/flips/inside", "as on the machine")[0],
      gone("etc/kept"),
    ]),
    { parents: [full.begin.jobUuid], bases: [base.begin.jobUuid] },
  );
}

/** Job 6 is deleted: 7 takes in its rows (revision 2), its frame in use is moved, and 8 lies over 7 alone. */
async function rewritten(): Promise<void> {
  const [one, two] = [await newVolume("rewritten-1"), await newVolume("rewritten-2")];
  const root = row("", EntryType.directory);
  const full = await JobWriter.start(6, "Full", one);
  const [stays, goes] = [file("stays", "content of job 6"), file("goes", "nobody needs this")];
  const frame = await full.files(stays, goes);
  await full.end([root, goes[0], stays[0]]);
  const middle = await JobWriter.start(7, "Incremental", one);
  const more = file("more", "content of job 7");
  await middle.files(more);
  await middle.end([gone("goes"), more[0]], { parents: [full.begin.jobUuid] });
  const last = await JobWriter.start(8, "Incremental", one);
  const extra = file("more", "content of job 8");
  await last.files(extra);
  await last.end([extra[0]], { parents: [full.begin.jobUuid, middle.begin.jobUuid] });

  await middle.moveTo(two);
  await middle.end([root, more[0], stays[0]], { revision: 2, level: "Full" });
  await two.appendRecord(RecordKind.catalog, { op: "content", timeMs: START_MS, job: full.begin });
  await two.appendFrame({ jobUuid: uuidBytes(full.begin.jobUuid), sequence: 0, ...frame });
  const deletion = { op: "delete", timeMs: START_MS, jobs: [{ jobUuid: full.begin.jobUuid, revision: 1 }] };
  await one.appendRecord(RecordKind.catalog, deletion);
  await two.appendRecord(RecordKind.catalog, { op: "of-later-days", timeMs: START_MS });
}

/** What a vacuum leaves: a frame without the member that nobody needs, closing frames moved, a new end record for them. */
async function vacuumed(): Promise<void> {
  const [one, two] = [await newVolume("vacuumed-1"), await newVolume("vacuumed-2")];
  const job = await JobWriter.start(10, "Full", one);
  const [kept, dead] = [file("kept", "still in use"), file("dead", "in no list")];
  await job.files(dead, kept);
  await job.end([row("", EntryType.directory), kept[0]]);
  const reader = await VolumeReader.open(store, "/v/vacuumed-1");
  await two.appendRecord(RecordKind.jobBegin, job.begin);
  await two.appendRecord(RecordKind.catalog, { op: "content", timeMs: START_MS, job: job.begin });
  for await (const item of reader.scan()) {
    if (item.type === "record" && item.kind === RecordKind.jobEnd)
      await two.appendRecord(item.kind, {
        ...decodeJobEnd(item.body),
        revision: 2,
        manifest: 1,
        volumes: ["vacuumed-2"],
      });
    if (item.type !== "frame") continue;
    const whole = { ...item.index, data: item.frame! };
    const member = { member: memberOf(10, kept[0]), data: kept[1] };
    await two.appendFrame(item.index.entries.length > 0 ? { ...whole, ...frameOf([member]) } : whole);
  }
  await reader.close();
}

/** A record with one byte of its head changed, and its checksum made right again. */
function altered(at: number, value: number): Buffer {
  const record = encodeRecord(RecordKind.jobBegin, Buffer.from(JSON.stringify(beginOf(9, "Full"))));
  record[8 + at] = value;
  record.writeUInt32LE(crc32(record.subarray(8, record.length - 4)), record.length - 4);
  return record;
}

/** Volumes that a program of format 1 must refuse from a certain byte on. */
async function refused(): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const [name, at, value] of [
    ["later-version", 4, 2],
    ["later-feature", 6, 1],
    ["later-cipher", 8, 1],
    ["later-kind", 5, 9],
  ] as const) {
    const writer = await newVolume(name);
    found.set(name, Buffer.concat([await bytesOf(writer), altered(at, value)]));
  }
  const everything = await bytesOf({ label: { volume: "everything" } });
  found.set("torn", everything.subarray(0, everything.length - 700));
  const label = JSON.stringify({ format: 2, volume: "later-format" });
  found.set("later-format", encodeRecord(RecordKind.label, Buffer.from(label)));
  return found;
}

async function bytesOf(writer: { label: { volume: string } }): Promise<Buffer> {
  const opened = await store.open(`/v/${writer.label.volume}`, "read");
  const bytes = Buffer.alloc(opened.size);
  await opened.readAt(bytes, 0);
  await opened.close();
  return bytes;
}

await everything();
await spanning();
await overBase();
await rewritten();
const all = await refused();
await vacuumed();
for (const name of [
  ...["everything", "span-1", "span-2", "base", "delta", "rewritten-1", "rewritten-2"],
  ...["vacuumed-1", "vacuumed-2"],
])
  all.set(name, await bytesOf({ label: { volume: name } }));
for (const [name, bytes] of all) {
  const path = join(DIRECTORY, `${name}.volume`);
  if (existsSync(path)) continue;
  writeFileSync(path, bytes);
  writeFileSync(join(DIRECTORY, `${name}.json`), `${JSON.stringify(await listingOf(path), undefined, 1)}\n`);
}
for (const [name, on, jobId] of STATES) {
  const path = join(DIRECTORY, `${name}.json`);
  if (existsSync(path)) continue;
  const state = await stateOf(
    on.map((volume) => join(DIRECTORY, `${volume}.volume`)),
    jobId,
  );
  writeFileSync(path, `${JSON.stringify(state, undefined, 1)}\n`);
}
