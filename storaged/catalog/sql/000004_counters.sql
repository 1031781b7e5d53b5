-- Counters that label formats name, as the director defines them, and what they have come to.
CREATE TABLE counter (
  name TEXT PRIMARY KEY,              -- in lower case
  minimum INTEGER NOT NULL,
  maximum INTEGER NOT NULL,
  wrap_counter TEXT NOT NULL,         -- counts how often this one has begun anew; '': none
  value INTEGER NOT NULL              -- the next one to be used
) WITHOUT ROWID;
