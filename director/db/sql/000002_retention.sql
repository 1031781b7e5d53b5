-- Runs whose file list is gone, and figures of runs that outlive their records.
ALTER TABLE job ADD COLUMN purged_files INTEGER NOT NULL DEFAULT 0;

CREATE TABLE job_history (
  job_id INTEGER PRIMARY KEY,
  job TEXT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  level TEXT NOT NULL,
  client TEXT NOT NULL,
  pool TEXT NOT NULL,
  storage TEXT NOT NULL,
  status TEXT NOT NULL,
  sched_ms INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  end_ms INTEGER NOT NULL,
  files INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  read_bytes INTEGER NOT NULL,
  sent_bytes INTEGER NOT NULL,
  stored_bytes INTEGER NOT NULL,
  errors INTEGER NOT NULL
);
CREATE INDEX job_history_by_end ON job_history (end_ms);
CREATE INDEX log_by_time ON log (time_ms);
