-- What retention needs to know: which volumes a job cannot do without, and what has become of jobs and volumes.

-- UUID of the label: tells a recycled or relabelled volume from its former self. '': not read yet.
ALTER TABLE volume ADD COLUMN uuid TEXT NOT NULL DEFAULT '';
-- End of everything that was ever committed to the volume, change records (docs/volume-format.md, kind 5) included:
-- the file is not cut back below it until it is recycled.
ALTER TABLE volume ADD COLUMN record_end INTEGER NOT NULL DEFAULT 0;
ALTER TABLE volume ADD COLUMN recycles INTEGER NOT NULL DEFAULT 0;
-- 1: the file is emptied as soon as the volume is purged.
ALTER TABLE volume ADD COLUMN truncate_on_purge INTEGER NOT NULL DEFAULT 0;
ALTER TABLE volume ADD COLUMN recycle_pool TEXT NOT NULL DEFAULT '';
-- Bytes of live chunks at the last count (measured_ms); -1: never counted.
ALTER TABLE volume ADD COLUMN live_bytes INTEGER NOT NULL DEFAULT -1;
ALTER TABLE volume ADD COLUMN measured_ms INTEGER NOT NULL DEFAULT 0;

ALTER TABLE pool ADD COLUMN recycle_oldest_volume INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pool ADD COLUMN recycle_current_volume INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pool ADD COLUMN purge_oldest_volume INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pool ADD COLUMN truncate_on_purge INTEGER NOT NULL DEFAULT 0;

-- Besides R T W E A f a job's status may be
--   D  being deleted: hidden from everybody, finished at the next start if the daemon ends now;
--   G  deleted: only content is left, which other jobs may use; the row goes with the last of its frames.
-- Both are neither listed nor restored, and nobody's parent.
-- B backup, C copy (not restored from while the original is there).
ALTER TABLE job ADD COLUMN type TEXT NOT NULL DEFAULT 'B';
-- Counts the job's end records on volumes; the highest one is in force (docs/volume-format.md).
ALTER TABLE job ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
-- 1 from the moment an end record may lie on a volume until the commit: a failed job with it gets a tombstone.
ALTER TABLE job ADD COLUMN ending INTEGER NOT NULL DEFAULT 0;
-- Status before D, to go back to.
ALTER TABLE job ADD COLUMN kept_status TEXT NOT NULL DEFAULT '';
-- UUID of the job that this one is a copy of; ''.
ALTER TABLE job ADD COLUMN copy_of TEXT NOT NULL DEFAULT '';
-- Whether the job's own rows are here (File Retention): 0 they are; 1 a part may be left, or be here already, and
-- none of it counts; 2 none is here. With 1 and 2 the job's manifest on a volume has them.
ALTER TABLE job ADD COLUMN list_state INTEGER NOT NULL DEFAULT 0;

-- Volumes that hold content named by a job's own rows (parts included); counted when the rows were stored.
CREATE TABLE job_need (
  job INTEGER NOT NULL REFERENCES job(id),
  volume INTEGER NOT NULL REFERENCES volume(id),
  chunks INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (job, volume)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_need_of ON job_need(volume);

-- Whose content a job's own rows name besides its own and that of the pool and client it belongs to: jobs that lie over
-- it may name that too, whatever has become of the jobs that it was taken from.
CREATE TABLE job_draw (
  job INTEGER NOT NULL REFERENCES job(id),
  pool INTEGER NOT NULL REFERENCES pool(id),
  client TEXT NOT NULL,
  PRIMARY KEY (job, pool, client)
) STRICT, WITHOUT ROWID;

-- Volumes with an end record of the job, of any revision: where a tombstone must go.
CREATE TABLE job_record (
  job INTEGER NOT NULL REFERENCES job(id),
  volume INTEGER NOT NULL REFERENCES volume(id),
  PRIMARY KEY (job, volume)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_record_of ON job_record(volume);

-- Frames by volume: purged and vacuumed together.
CREATE INDEX frame_volume ON frame(volume);

-- Jobs committed before this schema: their extents and chunks say it.
UPDATE volume SET record_end =
  (SELECT coalesce(max(end_offset), 0) FROM job_volume WHERE job_volume.volume = volume.id);
INSERT INTO job_record SELECT job, volume FROM job_volume v
  WHERE ord = (SELECT max(ord) FROM job_volume l WHERE l.job = v.job);
INSERT INTO job_need
  SELECT v.job, f.volume, count(*), sum(f.bytes) FROM job_volume v JOIN frame f ON f.job = v.job
  GROUP BY v.job, f.volume;
