/**
 * The JSON records about jobs on a volume. Writers may add keys; readers use the ones here and ignore the rest.
 * `jobBegin` stands on every volume that a job writes to, before its first frame there; `jobEnd` once, on the
 * last of them, after everything else of the job.
 */
import { GarbledInput } from "../../common/format/varint.js";
import { isUuid, type JsonObject, numberOf, parseObject, textOf } from "./json.js";

export interface JobBeginRecord extends JsonObject {
  jobUuid: string;
  /** The director's number: members are named `job<jobId>/…`. */
  jobId: number;
  /** Unique job name: NAME.YYYY-MM-DD_HH.MM.SS_NN. */
  job: string;
  jobName: string;
  client: string;
  fileSet: string;
  level: string;
  startMs: number;
}

export interface JobEndRecord extends JobBeginRecord {
  /** T: OK, W: OK with warnings. A job that ends otherwise has no such record. */
  status: string;
  endMs: number;
  /** Rows in the job's own list. */
  rows: number;
  files: number;
  bytes: number;
  /** UUIDs of the jobs that the list lies over, oldest first; the Bases of a Full stand in `bases`. */
  parents: string[];
  bases: string[];
  /** All volumes that hold frames of the job, in order of writing. */
  volumes: string[];
}

/** Checks what every reader needs: jobUuid, jobId, level and names. @throws GarbledInput */
export function decodeJobBegin(body: Buffer): JobBeginRecord {
  return jobFields(parseObject(body, "job record"));
}

/** @throws GarbledInput */
export function decodeJobEnd(body: Buffer): JobEndRecord {
  const fields = parseObject(body, "job end record");
  const texts = (key: string) => {
    const value = fields[key];
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) {
      throw new GarbledInput(`job end record without ${key}`);
    }
    return value as string[];
  };
  return {
    ...jobFields(fields),
    status: textOf(fields, "status", "job end record"),
    endMs: numberOf(fields, "endMs", "job end record"),
    rows: numberOf(fields, "rows", "job end record"),
    files: numberOf(fields, "files", "job end record"),
    bytes: numberOf(fields, "bytes", "job end record"),
    parents: texts("parents"),
    bases: texts("bases"),
    volumes: texts("volumes"),
  };
}

function jobFields(fields: JsonObject): JobBeginRecord {
  const what = "job record";
  const jobUuid = textOf(fields, "jobUuid", what);
  if (!isUuid(jobUuid)) throw new GarbledInput("job record with an invalid UUID");
  return {
    ...fields,
    jobUuid,
    jobId: numberOf(fields, "jobId", what),
    job: textOf(fields, "job", what),
    jobName: textOf(fields, "jobName", what),
    client: textOf(fields, "client", what),
    fileSet: textOf(fields, "fileSet", what),
    level: textOf(fields, "level", what),
    startMs: numberOf(fields, "startMs", what),
  };
}
