-- A list that is written anew lies beside the one in force until it takes its place (storaged/catalog/list-number.ts).

-- How often that has happened. While it is even, the list in force lies under the job's number, while it is odd under
-- the negative of that.
ALTER TABLE job ADD COLUMN list_turn INTEGER NOT NULL DEFAULT 0;
-- 1: blocks that do not count may lie under the other number.
ALTER TABLE job ADD COLUMN list_old INTEGER NOT NULL DEFAULT 0;
CREATE INDEX job_list_old ON job(id) WHERE list_old = 1;
UPDATE job SET list_old = 1 WHERE id IN (SELECT DISTINCT -job FROM list_block WHERE job < 0);

-- The blocks that count, by job.
CREATE VIEW list_in_force AS
  SELECT j.id AS job, b.seq, b.first_key, b.last_key, b.rows, b.data
  FROM job j JOIN list_block b ON b.job = j.id * (1 - 2 * (j.list_turn & 1));

-- has_state is 2 while a state stream that nobody asks for any more is being removed.
CREATE INDEX job_state_old ON job(id) WHERE has_state = 2;

-- The end of what a volume holds is the end of its last frame.
DROP INDEX frame_volume;
CREATE INDEX frame_volume ON frame(volume, offset);
