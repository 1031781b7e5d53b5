-- JSON: UUIDs of the jobs whose place the original of a migrated job had taken before, newest first. What lay over one of
-- them names it on its volume still, where nothing else may be left of it.
ALTER TABLE job ADD COLUMN prior TEXT NOT NULL DEFAULT '[]';
