"""Runs a program on a terminal of its own and plays a script: terminal.py STEPS COMMAND...

STEPS is a JSON list of [wait, keys]: the text to wait for in what was printed since the last step, then the keys to
send. Prints everything the terminal showed; status 1 when a text does not come.
"""
import json, os, pty, select, signal, sys, time

steps = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])

shown = b""


def read(seconds):
    """More of the output; False at its end or when nothing comes in time."""
    global shown
    if not select.select([fd], [], [], seconds)[0]:
        return False
    try:
        data = os.read(fd, 65536)
    except OSError:
        data = b""
    shown += data
    return data != b""


def give_up(text):
    os.kill(pid, signal.SIGKILL)
    sys.exit(f"{text} in:\n{shown[mark:].decode(errors='replace')}")


mark = 0
for wait, keys in steps:
    end = time.monotonic() + 180
    while wait.encode() not in shown[mark:]:
        if not read(1) and time.monotonic() > end:
            give_up(f"waited in vain for {wait!r}")
    mark = shown.index(wait.encode(), mark) + len(wait)
    os.write(fd, keys.encode())
while read(20):
    pass
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
