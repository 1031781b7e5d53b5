import assert from "node:assert/strict";
import { test } from "node:test";
import { addToRanges, isInRanges, parseBootstrap, printBootstrap } from "./bootstrap.js";
import { type KnownRun, meantRuns } from "./runs.js";

const run = (jobId: number, changes: Partial<KnownRun> = {}): KnownRun => ({
  ...{ jobId, jobName: "vm", job: `vm.${jobId}`, client: "vm-fd", startMs: jobId, files: 8 },
  ...{ volumes: ["V1"], session: { id: jobId, time: 1000 }, ...changes },
});

const meant = (text: string, runs: readonly KnownRun[]) =>
  meantRuns(parseBootstrap(text, "x.bsr"), runs).map(({ run: { jobId }, fileIndex }) => [jobId, fileIndex]);

test("what is printed is read again, and means the same runs", () => {
  const text = printBootstrap([
    {
      ...{ jobId: 7, storage: "File", sessionId: 3, sessionTime: 1000 },
      extents: [
        { volume: "V1", mediaType: "File", slot: 0, first: 200, end: 900 },
        { volume: "V2", mediaType: "File", slot: 4, first: 200, end: 300 },
      ],
      fileIndex: [
        [1, 3],
        [5, 5],
      ],
    },
  ]);
  assert.equal(
    text.slice(0, text.indexOf('Storage="File"\nVolume="V2"')),
    'Storage="File"\nVolume="V1"\nMediaType="File"\nVolSessionId=3\nVolSessionTime=1000\nJobId=7\n' +
      "VolAddr=200-900\nFileIndex=1-3\nFileIndex=5\nCount=4\n",
  );
  assert.match(text, /Volume="V2"\nMediaType="File"\nSlot=4\n/);
  const indexes = [
    [1, 3],
    [5, 5],
  ];
  const found = meant(text, [run(6), run(7, { volumes: ["V1", "V2"] })]);
  assert.deepEqual(found, [[7, [...indexes, ...indexes]]]);
});

test("only volumes, joined by | or one by one, mean every run that lies there", () => {
  const runs = [
    run(2, { volumes: ["V2"] }),
    run(1),
    run(3, { volumes: ["V3"] }),
    run(4, { volumes: ["V2", "V1"] }),
  ];
  assert.deepEqual(meant('Volume="V1"\n', runs), [
    [1, undefined],
    [4, undefined],
  ]);
  for (const both of ["Volume = V1|V2", '# by hand\nvolume="V1"\n\nVOLUME = V2\n'])
    assert.deepEqual(
      meant(both, runs).map(([jobId]) => jobId),
      [1, 2, 4],
    );
});

test("sessions, JobIds, clients and jobs choose; a whole FileIndex is everything", () => {
  const runs = [run(1), run(2), run(3, { client: "other-fd" })];
  assert.deepEqual(meant("Volume=V1\nVolSessionId=2\nVolSessionTime=1000\nFileIndex=1-8\n", runs), [
    [2, undefined],
  ]);
  assert.deepEqual(meant("Volume=V1\nJobId=1,3\nFileIndex=2-3,5\n", runs), [
    [
      1,
      [
        [2, 3],
        [5, 5],
      ],
    ],
    [
      3,
      [
        [2, 3],
        [5, 5],
      ],
    ],
  ]);
  assert.deepEqual(
    meant("Volume=V1\nClient=other-fd\n", runs).map(([jobId]) => jobId),
    [3],
  );
  assert.throws(
    () => meant("Volume=V1\nVolSessionId=9\n", runs),
    /no run in the catalog fits Volume "V1" VolSessionId=9-9/,
  );
  assert.throws(() => meant("Volume=V9\n", runs), { code: "BOOTSTRAP_INVALID" });
});

test("garbled files name their line", () => {
  const bad = (text: string, why: RegExp) => assert.throws(() => parseBootstrap(text, "x.bsr"), why);
  bad("", /x\.bsr names no Volume/);
  bad("FileIndex=1\nVolume=V1\n", /x\.bsr:1: FileIndex before the first Volume/);
  bad("Volume=V1\nnonsense\n", /x\.bsr:2: "nonsense" is no Keyword=Value/);
  bad("Volume=V1\nFileIndex=8-1\n", /x\.bsr:2: FileIndex: "8-1" is no list/);
  bad("Volume=V1\nFileIndex=-3\n", /no list/);
  bad('Volume=""\n', /Volume without a name/);
  bad("Volume=V1\nFileRegex=x\n", /x\.bsr:2: FileRegex is not supported/);
});

test("ranges grow and are looked up", () => {
  const ranges: [number, number][] = [];
  for (const value of [1, 2, 3, 7, 9, 10]) addToRanges(ranges, value);
  assert.deepEqual(ranges, [
    [1, 3],
    [7, 7],
    [9, 10],
  ]);
  assert.equal(isInRanges(ranges, 7), true);
  assert.equal(isInRanges(ranges, 8), false);
  assert.equal(isInRanges(undefined, 8), true);
});
