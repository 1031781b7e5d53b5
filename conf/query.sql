# Questions of the console's `query` command, in the form of Bacula's QueryFile:
#   :  title of a question          *  asks for %1, %2, … %9          #  comment
# then SQL, ended by a semicolon. A statement that begins with ! is printed as blocks. Tables: docs/console.md, sqlquery.
:Newest runs of a job
*Job name:
SELECT JobId, Level, StartTime, EndTime, JobFiles, JobBytes, JobStatus FROM Job
  WHERE Name = '%1' ORDER BY StartTime DESC LIMIT 20;

:Runs of a client since a date
*Client name:
*Date (YYYY-MM-DD):
SELECT Job.JobId, Job.Name, Level, StartTime, JobFiles, JobBytes, JobStatus FROM Job JOIN Client USING (ClientId)
  WHERE Client.Name = '%1' AND StartTime >= '%2' ORDER BY StartTime;

:Clients without a good backup in so many days
*Days:
SELECT Client.Name, max(Job.EndTime) AS LastGood FROM Client
  LEFT JOIN Job ON Job.ClientId = Client.ClientId AND Job.Type = 'B' AND Job.JobStatus IN ('T', 'W')
  GROUP BY Client.Name
  HAVING LastGood IS NULL OR LastGood < datetime('now', 'localtime', '-' || '%1' || ' days')
  ORDER BY Client.Name;

:Failed runs of the last days
*Days:
SELECT JobId, Name, Level, StartTime, JobErrors, JobStatus FROM Job
  WHERE JobStatus IN ('E', 'f', 'A') AND StartTime >= datetime('now', 'localtime', '-' || '%1' || ' days')
  ORDER BY StartTime;

:Bytes and files by client
SELECT Client.Name, count(*) AS Jobs, sum(JobFiles) AS Files, sum(JobBytes) AS Bytes
  FROM Job JOIN Client USING (ClientId) WHERE Type = 'B' AND JobStatus IN ('T', 'W')
  GROUP BY Client.Name ORDER BY Bytes DESC;

:Volumes that hold a run
*JobId:
SELECT VolumeName, MediaType, VolStatus, FirstIndex, LastIndex FROM JobMedia JOIN Media USING (MediaId)
  WHERE JobId = '%1' ORDER BY JobMediaId;

:Runs on a volume
*Volume name:
SELECT DISTINCT Job.JobId, Job.Name, Job.Level, Job.StartTime, Job.JobFiles, Job.JobBytes, Job.JobStatus
  FROM Media JOIN JobMedia USING (MediaId) JOIN Job USING (JobId)
  WHERE VolumeName = '%1' ORDER BY Job.StartTime;

:Volumes by pool and status
SELECT Pool.Name AS Pool, VolStatus, count(*) AS Volumes, sum(VolBytes) AS Bytes
  FROM Media JOIN Pool USING (PoolId) GROUP BY Pool.Name, VolStatus ORDER BY Pool.Name, VolStatus;

:Volumes whose retention is over
SELECT VolumeName, VolStatus, LastWritten, VolRetention / 86400 AS Days FROM Media
  WHERE LastWritten IS NOT NULL AND VolRetention > 0
    AND strftime('%%s', LastWritten, 'utc') + VolRetention < strftime('%%s', 'now')
  ORDER BY LastWritten;

:Files of a run whose name contains a word
*JobId:
*Word:
SELECT Path || Filename AS File, JobId FROM File JOIN Path USING (PathId)
  WHERE JobId = '%1' AND Filename LIKE '%%' || '%2' || '%%' ORDER BY Path, Filename LIMIT 1000;

:Versions of a file that a client's runs saved
*Client name:
*Directory, with a slash at its end:
*File name:
SELECT File.JobId, Job.Level, Job.StartTime, File.FileId, File.MD5 FROM Client
  JOIN Job USING (ClientId) JOIN File USING (JobId) JOIN Path USING (PathId)
  WHERE Client.Name = '%1' AND Path.Path = '%2' AND File.Filename = '%3' ORDER BY Job.StartTime;

:Log of a run
*JobId:
SELECT Time, LogText FROM Log WHERE JobId = '%1' ORDER BY LogId;
