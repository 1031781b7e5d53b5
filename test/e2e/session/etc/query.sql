# A question of the site's own.
:Runs of a job by level
*Job name:
*Level:
SELECT JobId, Level, JobStatus FROM Job WHERE Name='%1' AND Level='%2' ORDER BY JobId;
