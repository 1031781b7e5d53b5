-- Messages on their way out of the director. Times are ms since the epoch.
-- Lines that a job (0: no job) has said so far and that will be mailed when it has ended.
CREATE TABLE mail_line (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id INTEGER NOT NULL,
  messages TEXT NOT NULL,
  type TEXT NOT NULL,
  text TEXT NOT NULL
);
CREATE INDEX mail_line_by_job ON mail_line (job_id, id);

-- Finished mails and webhook messages that no server has taken yet. The Messages resource says how they are sent.
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  messages TEXT NOT NULL,
  target TEXT NOT NULL,
  subject TEXT NOT NULL,
  body TEXT NOT NULL,
  job_id INTEGER NOT NULL,
  job_name TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  next_ms INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX outbox_by_next ON outbox (kind, next_ms, id);
