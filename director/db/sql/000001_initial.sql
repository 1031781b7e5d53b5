-- Runs, their logs, what consoles have not read yet, and counters. Times are ms since the epoch.
CREATE TABLE job (
  job_id INTEGER PRIMARY KEY,
  uuid TEXT NOT NULL UNIQUE,
  job TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  level TEXT NOT NULL,
  client TEXT NOT NULL,
  file_set TEXT NOT NULL,
  pool TEXT NOT NULL,
  storage TEXT NOT NULL,
  status TEXT NOT NULL,
  priority INTEGER NOT NULL DEFAULT 10,
  sched_ms INTEGER NOT NULL DEFAULT 0,
  start_ms INTEGER NOT NULL DEFAULT 0,
  end_ms INTEGER NOT NULL DEFAULT 0,
  files INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  read_bytes INTEGER NOT NULL DEFAULT 0,
  sent_bytes INTEGER NOT NULL DEFAULT 0,
  stored_bytes INTEGER NOT NULL DEFAULT 0,
  errors INTEGER NOT NULL DEFAULT 0,
  warnings INTEGER NOT NULL DEFAULT 0,
  prior_job_id INTEGER NOT NULL DEFAULT 0,
  base_job_ids TEXT NOT NULL DEFAULT '[]',
  base_files INTEGER NOT NULL DEFAULT 0,
  base_bytes INTEGER NOT NULL DEFAULT 0,
  used_files INTEGER NOT NULL DEFAULT 0,
  volumes TEXT NOT NULL DEFAULT '[]',
  vol_session_id INTEGER NOT NULL DEFAULT 0,
  vol_session_time INTEGER NOT NULL DEFAULT 0,
  comment TEXT NOT NULL DEFAULT '',
  report TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  request TEXT NOT NULL DEFAULT ''
);
CREATE INDEX job_by_start ON job (start_ms, job_id);
CREATE INDEX job_by_name ON job (name, client, job_id);
CREATE INDEX job_open ON job (status) WHERE status IN ('C', 'R');

CREATE TABLE log (
  log_id INTEGER PRIMARY KEY,
  job_id INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  text TEXT NOT NULL
);
CREATE INDEX log_by_job ON log (job_id, log_id);

-- One row per message however many consoles there are; each reader remembers how far it has read.
CREATE TABLE console_message (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  text TEXT NOT NULL
);
CREATE TABLE console_reader (
  console TEXT PRIMARY KEY,
  read_to INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE counter (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;
