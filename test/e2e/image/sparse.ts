/** Comparison of sparse files by what they hold and not by their length. */
import assert from "node:assert/strict";
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import { nextData, nextHole } from "../../../common/sys/files.js";

const STEP = 1024 * 1024;
/** What a file system may allocate for itself. */
const SLACK_BYTES = 256 * 1024;

/** Offsets of STEP-sized stretches in which the file has data. */
function* dataSteps(fd: number, size: number): Generator<number> {
  for (let at = nextData(fd, 0); at >= 0 && at < size; at = nextData(fd, at)) {
    const hole = nextHole(fd, at);
    const end = hole < 0 ? size : hole;
    for (at -= at % STEP; at < end; at += STEP) yield at;
  }
}

/** Fails unless both hold the same bytes; terabytes of holes cost nothing. */
export function sameBytes(expected: string, actual: string): void {
  const [a, b] = [openSync(expected, "r"), openSync(actual, "r")];
  try {
    const { size } = fstatSync(a);
    assert.equal(fstatSync(b).size, size, `${actual} has another length`);
    const [one, other] = [Buffer.alloc(STEP), Buffer.alloc(STEP)];
    for (const at of new Set([...dataSteps(a, size), ...dataSteps(b, size)])) {
      const length = readSync(a, one, 0, STEP, at);
      assert.equal(readSync(b, other, 0, STEP, at), length);
      if (!one.subarray(0, length).equals(other.subarray(0, length)))
        assert.fail(`${actual} differs from ${expected} behind byte ${at}`);
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}

/** Fails unless the copy has the same bytes and needs no more room. */
export function sameImage(expected: string, actual: string): void {
  sameBytes(expected, actual);
  const allocated = (path: string): number => statSync(path).blocks * 512;
  const [wanted, got] = [allocated(expected), allocated(actual)];
  assert.ok(got <= wanted + SLACK_BYTES, `${actual} has ${got} bytes allocated, ${expected} ${wanted}`);
}
