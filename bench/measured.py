"""Runs a command and writes what it and all its children cost to a file: {"wall", "cpu", "rss", "status"}.

Arguments: RESULT COMMAND [ARGUMENT...]. Seconds, seconds, bytes (of the largest single process), exit status.
"""
import json, os, sys, time

start = time.monotonic()
child = os.fork()
if child == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(child, 0)
cost = {
    "wall": time.monotonic() - start,
    "cpu": usage.ru_utime + usage.ru_stime,
    "rss": usage.ru_maxrss * 1024,
    "status": os.waitstatus_to_exitcode(status),
}
with open(sys.argv[1], "w") as result:
    json.dump(cost, result)
