/**
 * Bacula's tables (9.6, and File.Filename of later ones) over the director's database, which is `main`, and the
 * scratch database `s` with what the storage daemons were asked for. Everything is a view of the temporary schema,
 * which comes first when a name is looked up.
 */

/** Tables of the scratch database whose rows the director sends, with their columns in that order. */
export const FED: Readonly<Record<string, readonly string[]>> = {
  client: ["ClientId", "Name", "Uname", "AutoPrune", "FileRetention", "JobRetention"],
  storage: ["StorageId", "Name", "AutoChanger"],
  device: ["DeviceId", "Name", "MediaTypeId", "StorageId"],
  fileset: ["FileSetId", "FileSet", "MD5", "CreateTime"],
  pool: [
    ...["PoolId", "Name", "NumVols", "MaxVols", "UseOnce", "UseCatalog", "AcceptAnyVolume", "VolRetention"],
    ...[
      "VolUseDuration",
      "MaxVolJobs",
      "MaxVolFiles",
      "MaxVolBytes",
      "AutoPrune",
      "Recycle",
      "ActionOnPurge",
    ],
    ...["PoolType", "LabelType", "LabelFormat", "Enabled", "ScratchPoolId", "RecyclePoolId", "NextPoolId"],
    ...["MigrationHighBytes", "MigrationLowBytes", "MigrationTime", "CacheRetention"],
  ],
  media: [
    ...["MediaId", "VolumeName", "Slot", "PoolId", "MediaType", "MediaTypeId", "LabelType", "FirstWritten"],
    ...["LastWritten", "LabelDate", "VolJobs", "VolFiles", "VolBlocks", "VolMounts", "VolBytes", "VolABytes"],
    ...["VolAPadding", "VolHoleBytes", "VolHoles", "LastPartBytes", "VolType", "VolErrors", "VolWrites"],
    ...["VolCapacityBytes", "VolStatus", "Enabled", "Recycle", "ActionOnPurge", "CacheRetention"],
    ...["VolRetention", "VolUseDuration", "MaxVolJobs", "MaxVolFiles", "MaxVolBytes", "InChanger"],
    ...["StorageId", "DeviceId", "MediaAddressing", "VolReadTime", "VolWriteTime", "EndFile", "EndBlock"],
    ...["LocationId", "RecycleCount", "InitialWrite", "ScratchPoolId", "RecyclePoolId", "Comment"],
    ...["VolParts", "VolCloudParts"],
  ],
};

const TEXT_COLUMNS = new Set([
  ...["Name", "Uname", "FileSet", "MD5", "CreateTime", "PoolType", "LabelFormat", "VolumeName", "MediaType"],
  ...["FirstWritten", "LastWritten", "LabelDate", "VolStatus", "InitialWrite", "Comment"],
]);

/** Tables of the scratch database. The first column of each is its number. */
export const SCRATCH_SCHEMA: readonly string[] = [
  ...Object.entries(FED).map(([table, [key, ...columns]]) => {
    const rest = columns.map((column) => `${column} ${TEXT_COLUMNS.has(column) ? "TEXT" : "INTEGER"}`);
    return `CREATE TABLE ${table} (${key} INTEGER PRIMARY KEY, ${rest.join(", ")})`;
  }),
  "CREATE INDEX client_name ON client(Name)",
  "CREATE INDEX storage_name ON storage(Name)",
  "CREATE INDEX fileset_name ON fileset(FileSet)",
  "CREATE INDEX pool_name ON pool(Name)",
  `CREATE TABLE jobmedia (JobMediaId INTEGER PRIMARY KEY, JobId INTEGER, MediaId INTEGER, FirstIndex INTEGER,
     LastIndex INTEGER, StartFile INTEGER, EndFile INTEGER, StartBlock INTEGER, EndBlock INTEGER, VolIndex INTEGER)`,
  "CREATE INDEX jobmedia_job ON jobmedia(JobId)",
  "CREATE INDEX jobmedia_media ON jobmedia(MediaId)",
  `CREATE TABLE file (FileId INTEGER PRIMARY KEY, FileIndex INTEGER, JobId INTEGER, PathId INTEGER, FilenameId INTEGER,
     LStat TEXT, MD5 TEXT)`,
  "CREATE TABLE path (PathId INTEGER PRIMARY KEY, Path TEXT)",
  "CREATE TABLE filename (FilenameId INTEGER PRIMARY KEY, Name TEXT)",
  `CREATE TABLE basefiles (BaseId INTEGER PRIMARY KEY AUTOINCREMENT, BaseJobId INTEGER, JobId INTEGER, FileId INTEGER,
     FileIndex INTEGER)`,
];

/** Indexes of what is filled by run, made when it is. */
export const FILE_INDEXES: Readonly<Record<string, string>> = {
  file_job: "file(JobId, PathId)",
  file_path: "file(PathId, FilenameId)",
  file_name: "file(FilenameId)",
  path_text: "path(Path)",
  filename_text: "filename(Name)",
  basefiles_job: "basefiles(JobId)",
};

const time = (column: string): string =>
  `CASE WHEN ${column} > 0 THEN strftime('%Y-%m-%d %H:%M:%S', ${column} / 1000, 'unixepoch', 'localtime') END`;
const idOf = (table: string, key: string, name: string, value: string): string =>
  `coalesce((SELECT ${key} FROM s.${table} x WHERE x.${name} = ${value}), 0)`;

/** Columns that Job and JobHisto have in common; `j` has the director's record. */
const JOB = `j.job_id AS JobId, j.job AS Job, j.name AS Name, j.type AS Type, j.level AS Level,
  ${idOf("client", "ClientId", "Name", "j.client")} AS ClientId, j.status AS JobStatus,
  ${time("j.sched_ms")} AS SchedTime,
  ${time("(CASE WHEN j.start_ms > 0 THEN j.start_ms ELSE j.sched_ms END)")} AS StartTime,
  ${time("j.end_ms")} AS EndTime, ${time("j.end_ms")} AS RealEndTime, j.end_ms / 1000 AS JobTDate`;
const COUNTS = `j.files AS JobFiles, j.bytes AS JobBytes, j.read_bytes AS ReadBytes, j.errors AS JobErrors,
  0 AS JobMissingFiles, ${idOf("pool", "PoolId", "Name", "j.pool")} AS PoolId`;
const REST = `'' AS PriorJob, 0 AS HasCache, 0 AS Reviewed`;

/** Lists that may be there: of backups and copies, not pruned. */
const LISTED = "j.type IN ('B', 'C') AND j.purged_files = 0";

/** Views that stay the same while a statement is carried out. */
export const VIEWS: readonly string[] = [
  `Job AS SELECT ${JOB}, j.vol_session_id AS VolSessionId, j.vol_session_time AS VolSessionTime, ${COUNTS},
     ${idOf("fileset", "FileSetId", "FileSet", "j.file_set")} AS FileSetId, j.prior_job_id AS PriorJobId,
     j.purged_files AS PurgedFiles, j.base_job_ids <> '[]' AS HasBase, ${REST}, j.comment AS Comment
   FROM main.job j`,
  `JobHisto AS SELECT ${JOB}, 0 AS VolSessionId, 0 AS VolSessionTime, ${COUNTS}, 0 AS FileSetId, 0 AS PriorJobId,
     0 AS PurgedFiles, 0 AS HasBase, ${REST}, '' AS Comment FROM main.job_history j`,
  `Log AS SELECT log_id AS LogId, job_id AS JobId, ${time("time_ms")} AS Time, text AS LogText FROM main.log`,
  ...["Client", "Storage", "Device", "FileSet", "Pool", "Media", "JobMedia"].map(
    (table) => `${table} AS SELECT * FROM s.${table.toLowerCase()}`,
  ),
  `Status AS SELECT column1 AS JobStatus, column2 AS JobStatusLong, column3 AS Severity FROM (VALUES
     ('C', 'Created, not yet running', 15), ('R', 'Running', 15), ('T', 'Completed successfully', 10),
     ('W', 'Completed with warnings', 20), ('D', 'Verify found differences', 15), ('E', 'Terminated with errors', 25),
     ('f', 'Fatal error', 100), ('A', 'Canceled by user', 90), ('I', 'Incomplete', 25))`,
  "Version AS SELECT 16 AS VersionId",
  "MediaType AS SELECT 1 AS MediaTypeId, min(MediaType) AS MediaType, 0 AS ReadOnly FROM s.media",
  // What Bacula has tables for and this product has none of.
  "Location AS SELECT 0 AS LocationId, '' AS Location, 0 AS Cost, 0 AS Enabled WHERE 0",
  `LocationLog AS SELECT 0 AS LocLogId, '' AS Date, '' AS Comment, 0 AS MediaId, 0 AS LocationId, '' AS NewVolStatus
     WHERE 0`,
  `Counters AS SELECT '' AS Counter, 0 AS MinValue, 0 AS MaxValue, 0 AS CurrentValue, '' AS WrapCounter WHERE 0`,
  "UnsavedFiles AS SELECT 0 AS UnsavedId, 0 AS JobId, 0 AS PathId, 0 AS FilenameId WHERE 0",
];

const FILE_COLUMNS = `f.FileId, f.FileIndex, f.JobId, f.PathId, f.FilenameId,
  (SELECT n.Name FROM s.filename n WHERE n.FilenameId = f.FilenameId) AS Filename, 0 AS DeltaSeq, 0 AS MarkId, f.LStat, f.MD5`;

/**
 * Views of what is fetched by run, for the passes that find out which runs: `need_files(job)` and `need_base(job)` note
 * down a run whose rows are not here, and end its branch of the join. CROSS JOIN keeps them before the rows.
 */
export const ASKING_VIEWS: readonly string[] = [
  `File AS SELECT ${FILE_COLUMNS} FROM main.job j CROSS JOIN need_files w CROSS JOIN s.file f
     WHERE ${LISTED} AND w.needed = j.job_id AND f.JobId = j.job_id`,
  `BaseFiles AS SELECT f.* FROM main.job j CROSS JOIN need_base w CROSS JOIN s.basefiles f
     WHERE ${LISTED} AND j.base_job_ids <> '[]' AND w.needed = j.job_id AND f.JobId = j.job_id`,
];
/** The same once everything has come. */
export const FILLED_VIEWS: readonly string[] = [
  `File AS SELECT ${FILE_COLUMNS} FROM s.file f`,
  "BaseFiles AS SELECT * FROM s.basefiles",
];
/** Of a statement with File in it: whatever belongs to its rows. */
export const NAME_VIEWS: readonly string[] = [
  "Path AS SELECT * FROM s.path",
  "Filename AS SELECT * FROM s.filename",
];
/** Of one without: of all runs. */
export const ALL_NAME_VIEWS: readonly string[] = ["path", "filename"].map(
  (table) =>
    `${table === "path" ? "Path" : "Filename"} AS SELECT p.* FROM s.${table} p WHERE p.${
      table === "path" ? "PathId" : "FilenameId"
    } IS NOT NULL AND (SELECT count(*) FROM main.job j CROSS JOIN need_files w WHERE ${LISTED} AND w.needed = j.job_id) >= 0`,
);

/** What a statement needs of the scratch database when it uses one of these names. */
export const USES: Readonly<Record<string, readonly string[]>> = {
  job: ["client", "fileset", "pool"],
  jobhisto: ["client", "pool"],
  client: ["client"],
  storage: ["storage"],
  device: ["device", "storage"],
  fileset: ["fileset"],
  pool: ["pool"],
  media: ["media", "pool", "storage"],
  mediatype: ["media", "pool", "storage"],
  jobmedia: ["jobmedia"],
};
