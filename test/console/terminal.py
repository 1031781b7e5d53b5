"""Runs a command on a pseudo-terminal and types what standard input asks for.

Each line of standard input is JSON: [pattern, keys]. When the pattern appears in what was printed since the last
keys, the keys are typed. Everything printed goes to standard output; the exit status is the command's, 99 when a
pattern did not appear in time.
"""
import json, os, pty, re, select, sys, termios, time, fcntl, struct

steps = [json.loads(line) for line in sys.stdin]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
seen = ""


def read(timeout):
    """False at the end of the command."""
    global seen
    ready, _, _ = select.select([fd], [], [], timeout)
    if not ready:
        return True
    try:
        data = os.read(fd, 65536)
    except OSError:
        return False
    sys.stdout.write(data.decode("utf8", "replace"))
    sys.stdout.flush()
    seen += data.decode("utf8", "replace")
    return data != b""


for pattern, keys in steps:
    end = time.time() + 180
    while not re.search(pattern, seen):
        if time.time() > end or not read(1):
            print("\nDID NOT APPEAR:", pattern)
            os.kill(pid, 9)
            sys.exit(99)
    seen = ""
    os.write(fd, keys.encode())
while read(60):
    pass
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
