import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { type Row, RowFlag } from "../../common/format/row.js";
import { openForReading } from "../catalog/schema.js";
import { fileRow } from "../session/fake-filed.js";
import { FileStore } from "../store/file-store.js";
import { VolumeReader } from "../volume/reader.js";
import { contents, history, noise, scan, started, volumes } from "./testing.js";

test("damage anywhere never brings back a wrong job, and the others come back", async (t) => {
  const storage = await started(t);
  await history(storage);
  const [path] = volumes(storage);
  const good = readFileSync(path!);
  const { file } = await scan(storage);
  type Found = { facts: { uuid: string }; rows: Row[] };
  const intact = JSON.stringify(contents(file));
  const whole = new Map((contents(file) as Found[]).map((job) => [job.facts.uuid, job.rows]));
  const reader = await VolumeReader.open(new FileStore(), path!);
  const places: number[] = [];
  for await (const { offset, end } of reader.scan())
    places.push(offset + 2, Math.floor((offset + end) / 2), end - 2);
  await reader.close();
  let kept = 0;
  for (const at of places.slice(3)) {
    rmSync(file);
    const bytes = Buffer.from(good);
    bytes[at]! ^= 0x10;
    writeFileSync(path!, bytes);
    const { result, lines } = await scan(storage);
    // What only a deleted job needs is not looked at.
    const noticed = lines.length > 0 || JSON.stringify(contents(file)) === intact;
    assert.ok(noticed, `byte ${at}`);
    assert.equal(lines.length > 0, result.problems + result.leftOut > 0, `byte ${at}`);
    for (const { facts, rows: found } of contents(file) as Found[]) {
      const sound = found.map((row) => ({ ...row, flags: row.flags & ~RowFlag.damaged }));
      // The deleted job may come back when its delete record is what was damaged.
      const expected = whole.get(facts.uuid);
      if (expected !== undefined) assert.deepEqual(sound, expected, `byte ${at}`);
      kept++;
    }
    const db = openForReading(file);
    assert.equal(
      db.prepare("SELECT status FROM volume").pluck().get(),
      lines.length > 0 ? "Read-Only" : "Used",
    );
    db.close();
  }
  assert.ok(kept > places.length, `${kept} jobs came back in ${places.length} scans`);
});

test("records in the content of a file are not believed behind damage", async (t) => {
  const storage = await started(t);
  await history(storage);
  const [inner] = volumes(storage).map((path) => readFileSync(path));
  // A file that is itself a piece of a volume, in a frame that zstd cannot make smaller.
  const label = inner!.readUInt32LE(4) + 8;
  const piece = Buffer.concat([noise(50_000, 9), inner!.subarray(label, label + 40_000), noise(50_000, 10)]);
  const outer = await started(t);
  const run = await outer.backup(async (fake) => {
    await fake.frame([{ key: "image", bytes: piece }]);
    await fake.rows([fileRow("image", piece)]);
    await fake.end();
  });
  assert.equal(run.result.ok, true);
  const [path] = volumes(outer);
  const bytes = readFileSync(path!);
  const reader = await VolumeReader.open(new FileStore(), path!);
  let at = 0;
  for await (const item of reader.scan()) if (item.type === "frame" && at === 0) at = item.offset;
  await reader.close();
  bytes[at + 20]! ^= 1;
  writeFileSync(path!, bytes);
  const { file } = await scan(outer);
  const names = (contents(file) as { facts: { uuid: string } }[]).length;
  assert.ok(names <= 1, "only the outer job may come back");
  const db = openForReading(file);
  assert.equal(db.prepare("SELECT count(*) FROM job WHERE job_name <> 'vm'").pluck().get(), 0);
  db.close();
});
