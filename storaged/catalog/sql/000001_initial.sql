-- The catalog of one storage daemon. Times are milliseconds since the epoch, sizes bytes, limits 0 for "none".
-- Paths are keys (see common/format/path.ts) as BLOBs, so that SQLite's comparison is path order.

CREATE TABLE pool (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  pool_type TEXT NOT NULL,
  deduplicate INTEGER NOT NULL,
  dedup_scope TEXT NOT NULL,
  maximum_volumes INTEGER NOT NULL,
  maximum_volume_bytes INTEGER NOT NULL,
  maximum_volume_jobs INTEGER NOT NULL,
  volume_use_duration INTEGER NOT NULL,
  volume_retention INTEGER NOT NULL,
  auto_prune INTEGER NOT NULL,
  recycle INTEGER NOT NULL,
  label_format TEXT NOT NULL,
  scratch_pool TEXT NOT NULL,
  recycle_pool TEXT NOT NULL,
  next_pool TEXT NOT NULL
) STRICT;

-- A volume keeps the limits that its pool had when it was labelled. `bytes` is the length that is safe on disk:
-- after a crash the file is cut back to it.
CREATE TABLE volume (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  pool INTEGER NOT NULL REFERENCES pool(id),
  media_type TEXT NOT NULL,
  device TEXT NOT NULL,
  status TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  frames INTEGER NOT NULL,
  jobs INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  label_ms INTEGER NOT NULL,
  first_written_ms INTEGER NOT NULL,
  last_written_ms INTEGER NOT NULL,
  retention INTEGER NOT NULL,
  recycle INTEGER NOT NULL,
  max_bytes INTEGER NOT NULL,
  max_jobs INTEGER NOT NULL,
  use_duration INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  in_changer INTEGER NOT NULL
) STRICT;
CREATE INDEX volume_pool ON volume(pool, status);

-- `id` is local; `job_id` is the director's number. `dirty` is 1 from the begin until the job is committed, or
-- until everything a failed job left behind has been removed: what a dirty job owns is invisible to others.
CREATE TABLE job (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  job_id INTEGER NOT NULL,
  job_name TEXT NOT NULL,
  job TEXT NOT NULL,
  client TEXT NOT NULL,
  file_set TEXT NOT NULL,
  file_set_digest TEXT NOT NULL,
  level TEXT NOT NULL,
  status TEXT NOT NULL,
  dirty INTEGER NOT NULL,
  has_state INTEGER NOT NULL,
  self_contained INTEGER NOT NULL,
  pool INTEGER NOT NULL REFERENCES pool(id),
  scheduled_ms INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  files INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  rows INTEGER NOT NULL,
  base_files INTEGER NOT NULL,
  new_content INTEGER NOT NULL,
  totals TEXT NOT NULL,
  reason TEXT NOT NULL,
  comment TEXT NOT NULL
) STRICT;
CREATE INDEX job_number ON job(job_id);
CREATE INDEX job_lineage ON job(job_name, client, file_set, id);
CREATE INDEX job_client ON job(client, id);
CREATE INDEX job_pool ON job(pool);

-- The runs that a job's rows overlay, oldest first: its Full, then a Differential, then Incrementals. Frozen at begin.
CREATE TABLE job_parent (
  job INTEGER NOT NULL REFERENCES job(id),
  ord INTEGER NOT NULL,
  parent INTEGER NOT NULL REFERENCES job(id),
  PRIMARY KEY (job, ord)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_parent_of ON job_parent(parent);

-- The Bases below a Full in the order of its definition. Kind `overlay`: its list lies below the job's rows.
CREATE TABLE job_base (
  job INTEGER NOT NULL REFERENCES job(id),
  ord INTEGER NOT NULL,
  base_job INTEGER NOT NULL REFERENCES job(id),
  kind TEXT NOT NULL,
  PRIMARY KEY (job, ord)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_base_of ON job_base(base_job);

-- Which volumes hold a job, and the end of its last byte there (records included).
CREATE TABLE job_volume (
  job INTEGER NOT NULL REFERENCES job(id),
  ord INTEGER NOT NULL,
  volume INTEGER NOT NULL REFERENCES volume(id),
  first_offset INTEGER NOT NULL,
  end_offset INTEGER NOT NULL,
  PRIMARY KEY (job, ord)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_volume_of ON job_volume(volume);

-- A job's rows in path order, in blocks (common/format/row.ts).
CREATE TABLE list_block (
  job INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  first_key BLOB NOT NULL,
  last_key BLOB NOT NULL,
  rows INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX list_block_key ON list_block(job, first_key);

-- The state stream (ctime, inode, link count of all entries); kept for the newest run only.
CREATE TABLE state_block (
  job INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  first_key BLOB NOT NULL,
  last_key BLOB NOT NULL,
  rows INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX state_block_key ON state_block(job, first_key);

-- Data frames. `entries`: digest, offset, length of each chunk as in the frame's index record on the volume.
CREATE TABLE frame (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job INTEGER NOT NULL,
  volume INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  raw_bytes INTEGER NOT NULL,
  entries BLOB NOT NULL
) STRICT;
CREATE INDEX frame_job ON frame(job);

-- Where a chunk lies. One row per job that stored it: a job's chunks count for others once it is not dirty.
CREATE TABLE chunk (
  digest BLOB NOT NULL,
  pool INTEGER NOT NULL,
  job INTEGER NOT NULL,
  frame INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  length INTEGER NOT NULL,
  damaged INTEGER NOT NULL,
  PRIMARY KEY (digest, pool, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX chunk_damaged ON chunk(digest) WHERE damaged = 1;

-- Content in several parts; `identity` is NULL until its last segment came.
CREATE TABLE content (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  identity BLOB,
  pool INTEGER NOT NULL,
  job INTEGER NOT NULL,
  size INTEGER NOT NULL
) STRICT;
CREATE INDEX content_identity ON content(identity, pool, job);
CREATE INDEX content_job ON content(job);

CREATE TABLE content_part (
  content INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX content_part_seq ON content_part(content, seq);

-- A running job holds all content of a pool that it may have been told is known.
CREATE TABLE pin (
  job INTEGER NOT NULL,
  pool INTEGER NOT NULL,
  PRIMARY KEY (job, pool)
) STRICT, WITHOUT ROWID;
