/** Runs for tests of the console language, and the director's records of them. */
import type { JobRecord } from "../port.js";
import type { FakeJob } from "./fake-storage.js";

/** 2026-11-21 12:00:00, local time. */
export const NOON = new Date(2026, 10, 21, 12, 0, 0).getTime();

/** A Full and an Incremental of vm1, a Full of vm2. */
export function fixtureJobs(): FakeJob[] {
  const vm1 = { jobName: "vm1", client: "vm1-fd", fileSet: "Full Set", status: "T", bases: [] };
  return [
    {
      ...{ ...vm1, jobId: 1, level: "Full", startMs: NOON - 7200_000, volumes: ["Vol-1"] },
      files: {
        "/srv/": 0,
        "/srv/a": 10,
        "/srv/a-b": 20,
        "/srv/etc/": 0,
        "/srv/etc/hosts": 5,
        "/srv/etc/caf\xe9": 7,
        "/srv/gone": 3,
      },
    },
    {
      ...{ ...vm1, jobId: 2, level: "Incremental", startMs: NOON - 3600_000, volumes: ["Vol-1"] },
      files: { "/srv/a": 11, "/srv/gone": null },
    },
    {
      ...{ jobName: "vm2", client: "vm2-fd", fileSet: "Small Set", status: "T", bases: [], jobId: 3 },
      ...{ level: "Full", startMs: NOON - 1800_000, volumes: ["Vol-1"], files: { "/opt/": 0, "/opt/x": 1 } },
    },
  ];
}

/** The director's record of a fake job. */
export function recordOf(job: FakeJob): JobRecord {
  const sizes = Object.values(job.files).filter((size): size is number => size !== null);
  return {
    ...{
      jobId: job.jobId,
      uuid: `u${job.jobId}`,
      job: `${job.jobName}.2026-11-21_10.00.00_0${job.jobId}`,
      name: job.jobName,
    },
    ...{
      type: "B",
      level: job.level[0] as "F",
      client: job.client,
      fileSet: job.fileSet,
      pool: job.pool ?? "Default",
      storage: "File1",
    },
    ...{
      status: job.status as "T",
      priority: 10,
      schedMs: job.startMs,
      startMs: job.startMs,
      endMs: job.startMs + 1000,
    },
    ...{
      files: sizes.length,
      bytes: sizes.reduce((a, b) => a + b, 0),
      readBytes: 0,
      sentBytes: 0,
      storedBytes: 0,
    },
    ...{ errors: 0, warnings: 0, priorJobId: 0, baseJobIds: [], baseFiles: 0, baseBytes: 0, usedFiles: 0 },
    ...{
      volumes: job.volumes,
      volSessionId: 1,
      volSessionTime: 1,
      comment: "",
      report: "",
      reason: "",
      purgedFiles: 0,
      request: "",
    },
  };
}
