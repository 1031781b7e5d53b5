"""Prints one JSON line for each entry of a tree, in path order, for test/helpers/compare.ts.

Works on directory descriptors, so paths may be longer than PATH_MAX. Names are latin1 strings that stand for
bytes. The root itself comes first, with an empty name. Arguments: DIR [sockets] [nocontent].
"""
import hashlib, json, os, stat, sys

KINDS = {
    stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char", stat.S_IFBLK: "block", stat.S_IFSOCK: "socket",
}
first_names = {}
flags = set(sys.argv[2:])
out = sys.stdout


def digest_and_holes(name, parent, size):
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME if os.geteuid() == 0 else os.O_RDONLY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        holes = size > 0 and os.lseek(fd, 0, os.SEEK_HOLE) < size
        if "nocontent" in flags:
            return "", holes
        os.lseek(fd, 0, os.SEEK_SET)
        hasher = hashlib.sha256()
        while data := os.read(fd, 1 << 20):
            hasher.update(data)
        return hasher.hexdigest(), holes
    finally:
        os.close(fd)


def attributes(parent, name):
    address = b"/proc/self/fd/%d/%s" % (parent, name)
    found = {}
    for key in sorted(os.listxattr(address, follow_symlinks=False)):
        value = os.getxattr(address, key, follow_symlinks=False)
        found[os.fsencode(key).decode("latin1")] = value.hex()
    return found


def describe(parent, name, path):
    info = os.stat(name, dir_fd=parent, follow_symlinks=False)
    kind = KINDS[stat.S_IFMT(info.st_mode)]
    record = {
        "name": path.decode("latin1"), "type": kind, "mode": stat.S_IMODE(info.st_mode), "uid": info.st_uid,
        "gid": info.st_gid, "mtimeNs": str(info.st_mtime_ns),
        "size": info.st_size if kind in ("file", "symlink") else 0,
        "target": "", "rdev": "", "sha256": "", "sparse": False, "linkedTo": "",
    }
    if kind == "symlink":
        record["target"] = os.readlink(name, dir_fd=parent).decode("latin1")
    elif kind in ("char", "block"):
        record["rdev"] = "%d:%d" % (os.major(info.st_rdev), os.minor(info.st_rdev))
    elif kind == "file":
        try:
            record["sha256"], record["sparse"] = digest_and_holes(name, parent, info.st_size)
        except PermissionError:
            record["sha256"] = "unreadable"
    if kind != "dir" and info.st_nlink > 1:
        record["linkedTo"] = first_names.setdefault((info.st_dev, info.st_ino), record["name"])
        if record["linkedTo"] == record["name"]:
            record["linkedTo"] = ""
    record["xattrs"] = attributes(parent, name)
    return record


def emit(parent, name, path):
    record = describe(parent, name, path)
    if record["type"] != "socket" or "sockets" in flags:
        out.write(json.dumps(record) + "\n")
    return record["type"] == "dir"


def walk(top):
    """Directories on the way are kept as names, not descriptors: one descriptor for each level that is open."""
    root = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    emit(root, b".", b"")
    stack = [(root, b"", iter(sorted(os.listdir(root), key=os.fsencode)))]
    while stack:
        fd, path, names = stack[-1]
        name = next(names, None)
        if name is None:
            os.close(fd)
            stack.pop()
            continue
        raw = os.fsencode(name)
        full = path + b"/" + raw if path else raw
        if not emit(fd, raw, full):
            continue
        try:
            below = os.open(raw, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        except PermissionError:
            continue
        stack.append((below, full, iter(sorted(os.listdir(below), key=os.fsencode))))


walk(os.fsencode(sys.argv[1]))
