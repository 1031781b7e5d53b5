"""Carries out the operations that test/helpers/tree-ops.ts describes, with the system's own calls.

Reads {"root": PATH, "ops": [...]} from standard input; names are latin1 strings that stand for bytes.
Every name is reached from its parent directory's descriptor, so a path may be longer than PATH_MAX.
Prints {"leftOut": [...]}: what this user or file system could not do. Other failures end with a traceback.
"""
import errno, hashlib, json, os, shutil, socket, sys

LEAVE_OUT = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL, errno.ENOSPC, errno.E2BIG}
left_out = []
late = []


def carrier(text):
    return os.fsencode(text) if text.isascii() else text.encode("latin1")


def content(spec):
    size, seed = spec["size"], spec.get("seed", "")
    if spec["kind"] == "zero":
        return bytes(size)
    if spec["kind"] == "text":
        lines, total, number = [], 0, 0
        while total < size:
            line = b"%08d %s the quick brown fox jumps over the lazy dog\n" % (number, seed.encode())
            lines.append(line)
            total += len(line)
            number += 1
        return b"".join(lines)[:size]
    return hashlib.shake_256(seed.encode()).digest(size)


class Place:
    """The parent directory's descriptor and the last name of a path."""

    def __init__(self, path):
        parts = [part for part in carrier(path).split(b"/") if part]
        self.name = parts[-1] if parts else b"."
        self.fd = os.dup(root_fd)
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self.fd)
            os.close(self.fd)
            self.fd = below

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def address(self):
        return b"/proc/self/fd/%d/%s" % (self.fd, self.name)

    def open(self, flags):
        return os.open(self.name, flags | os.O_NOFOLLOW, 0o600, dir_fd=self.fd)


def attempt(what, action):
    try:
        action()
        return True
    except OSError as error:
        if error.errno not in LEAVE_OUT:
            raise
        left_out.append(f"{what}: {error.strerror}")
        return False


def write_all(fd, data, at):
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, at)
        view, at = view[done:], at + done


def metadata(place, op):
    """Owner first (it clears capabilities and set-id bits), then mode, attributes, and times last."""
    path, link = op["path"], op.get("type") == "symlink"
    if "uid" in op or "gid" in op:
        owner = (op.get("uid", -1), op.get("gid", -1))
        attempt(f"{path}: owner", lambda: os.chown(place.name, *owner, dir_fd=place.fd, follow_symlinks=False))
    if "mode" in op and not link:
        attempt(f"{path}: mode", lambda: os.chmod(place.name, op["mode"], dir_fd=place.fd))
    for name in op.get("removeXattrs", []):
        attempt(f"{path}: {name}", lambda: os.removexattr(place.address(), carrier(name), follow_symlinks=False))
    for name, value in op.get("xattrs", {}).items():
        raw = bytes.fromhex(value)
        attempt(f"{path}: {name}", lambda: os.setxattr(place.address(), carrier(name), raw, follow_symlinks=False))
    if "mtimeNs" in op:
        at = int(op["mtimeNs"])
        attempt(f"{path}: mtime", lambda: os.utime(place.name, ns=(at, at), dir_fd=place.fd, follow_symlinks=False))


def make_file(place, op):
    fd = place.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        os.ftruncate(fd, op.get("size", 0))
        for part in op.get("parts", []):
            write_all(fd, content(part), part["at"])
    finally:
        os.close(fd)


def make_socket(place):
    here = os.open(".", os.O_RDONLY)
    os.fchdir(place.fd)
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(place.name)
    finally:
        os.fchdir(here)
        os.close(here)


def make_node(place, op):
    kind = op["type"]
    if kind == "dir":
        os.mkdir(place.name, 0o700, dir_fd=place.fd)
    elif kind == "file":
        make_file(place, op)
    elif kind == "symlink":
        os.symlink(carrier(op["target"]), place.name, dir_fd=place.fd)
    elif kind == "link":
        with Place(op["target"]) as old:
            os.link(old.name, place.name, src_dir_fd=old.fd, dst_dir_fd=place.fd, follow_symlinks=False)
    elif kind == "fifo":
        os.mkfifo(place.name, 0o600, dir_fd=place.fd)
    elif kind == "socket":
        make_socket(place)
    else:
        flag = 0o020000 if kind == "char" else 0o060000
        os.mknod(place.name, 0o600 | flag, os.makedev(*op["rdev"]), dir_fd=place.fd)


def entry(op):
    with Place(op["path"]) as place:
        if not attempt(f"{op['path']}: {op['type']}", lambda: make_node(place, op)):
            return
        if op["type"] == "dir":
            late.append(op)
        elif op["type"] != "link":
            metadata(place, op)


def rewrite(op):
    """New bytes of the same size; the mtime stays, to the nanosecond, so that only ctime tells."""
    with Place(op["path"]) as place:
        was = os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)
        fd = place.open(os.O_WRONLY)
        try:
            write_all(fd, content({"kind": "random", "seed": op["seed"], "size": was.st_size}), 0)
        finally:
            os.close(fd)
        times = (was.st_atime_ns, was.st_mtime_ns)
        os.utime(place.name, ns=times, dir_fd=place.fd, follow_symlinks=False)


def insert(op):
    with Place(op["path"]) as place:
        fd = place.open(os.O_RDWR)
        try:
            size = os.fstat(fd).st_size
            at = size if op["at"] < 0 else min(op["at"], size)
            tail = os.pread(fd, size - at, at)
            write_all(fd, content(op["content"]) + tail, at)
        finally:
            os.close(fd)


def remove(op):
    with Place(op["path"]) as place:
        info = os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)
        if info.st_mode & 0o170000 == 0o040000:
            shutil.rmtree(place.name, dir_fd=place.fd)
        else:
            os.unlink(place.name, dir_fd=place.fd)


def rename(op):
    with Place(op["path"]) as old, Place(op["to"]) as new:
        os.rename(old.name, new.name, src_dir_fd=old.fd, dst_dir_fd=new.fd)


def change(op):
    with Place(op["path"]) as place:
        metadata(place, op)


def touch(op):
    with Place(op["path"]) as place:
        os.utime(place.name, dir_fd=place.fd, follow_symlinks=False)


def many(op):
    with Place(op["path"] + "/.") as place:
        for number in range(op["count"]):
            fd = os.open(b"entry-%06d" % number, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=place.fd)
            os.write(fd, b"%d\n" % number if number % 3 else b"")
            os.close(fd)


ACTIONS = {f.__name__: f for f in (entry, rewrite, insert, remove, rename, change, touch, many)}
request = json.load(sys.stdin)
os.umask(0o022)
root_fd = os.open(request["root"], os.O_RDONLY | os.O_DIRECTORY)
for step in request["ops"]:
    ACTIONS[step["op"]](step)
for step in reversed(late):
    with Place(step["path"]) as where:
        metadata(where, step)
print(json.dumps({"leftOut": left_out}))
