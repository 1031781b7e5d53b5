/** What has to come back of the machines of a night. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { compareTrees, rsyncDifferences } from "../helpers/compare.js";
import { runProgram, unmountBelow } from "../helpers/tree-ops.js";
import type { Night } from "./night.js";
import { WEB_OFFSETS } from "./night-site.js";

/** One processor, and 45 ms for each program that is started. */
export const PATIENCE_MS = 900_000;

/** What web's disks held at one instant comes back: all that it was made of, and a log on each disk that fits the other's. */
export async function sameFiles(
  night: Night,
  jobId: number,
  [first, last]: readonly [number, number],
): Promise<void> {
  const restored = await night.restore(jobId);
  const expected = night.machine.path("expected");
  await mkdir(expected);
  try {
    for (const [index, file] of night.originals.web.entries())
      await runProgram("mount", [
        "-o",
        `loop,ro,noload,offset=${WEB_OFFSETS[index]}`,
        file,
        join(expected, ["", "srv"][index]!),
      ]);
    const log = /^(srv\/)?log: (size|mtimeNs|sha256) /;
    assert.deepEqual(
      (await compareTrees(expected, restored)).filter((line) => !log.test(line)),
      [],
    );
    assert.deepEqual(await rsyncDifferences(expected, restored, ["/log", "/srv/log"]), []);
  } finally {
    await unmountBelow(expected);
    await runProgram("umount", [expected]);
  }
  await rm(expected, { recursive: true });
  const [one, two] = ["log", "srv/log"].map((name) =>
    readFileSync(join(restored, name), "latin1").trim().split("\n").map(Number),
  );
  for (const numbers of [one!, two!])
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
    );
  const behind = one!.length - two!.length;
  assert.ok(behind === 0 || behind === 1, `disk 1 is at ${one!.length}, disk 2 at ${two!.length}`);
  assert.ok(
    one!.length >= first && one!.length <= last + 1,
    `${one!.length} is not between ${first} and ${last}`,
  );
}

/** Both disks of db, at one number, since its service stood still. */
export async function sameDisks(
  night: Night,
  jobId: number,
  [first, last]: readonly [number, number],
): Promise<void> {
  const restored = await night.restore(jobId);
  const numbers = night.originals.db.map((original, index) => {
    const disk = readFileSync(join(restored, "dev", "kvm-01", `snap_vm_db-disk${index + 1}`));
    const expected = readFileSync(original);
    assert.equal(disk.length, expected.length);
    assert.ok(disk.subarray(4096).equals(expected.subarray(4096)), `disk ${index + 1} differs`);
    return Number(disk.subarray(0, 12).toString("latin1"));
  });
  assert.equal(numbers[0], numbers[1]);
  assert.ok(numbers[0]! >= first && numbers[0]! <= last, `${numbers[0]} is not between ${first} and ${last}`);
}
