-- How far a running job that may be kept is safe on its volumes, and what is needed to end it there: what a start after
-- a crash keeps of it. One row for each job that runs.
CREATE TABLE job_checkpoint (
  job INTEGER PRIMARY KEY REFERENCES job(id),
  kept_to BLOB NOT NULL,              -- key: rows up to it count
  frame INTEGER NOT NULL,             -- the highest frame.id of the job
  content INTEGER NOT NULL,           -- the highest content.id of the job
  rows INTEGER NOT NULL,              -- blocks in list_block
  states INTEGER NOT NULL,            -- blocks in state_block
  facts TEXT NOT NULL,                -- JSON: what the writing thread had in memory of it
  session TEXT NOT NULL               -- JSON: what its session knew of it
) STRICT;
