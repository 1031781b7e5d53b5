"""Makes random changes to a tree, for test/e2e/random-edits. Arguments: ROOT SEED COUNT.

Names come from a small set, so that places are taken, left and taken again by something of another type; times from
a small set too, so that changes hide behind an old mtime. Prints each change with its name.
"""
import os, random, shutil, stat, sys

root, seed, count = os.fsencode(sys.argv[1]), sys.argv[2], int(sys.argv[3])
dice = random.Random(seed)
NAMES = [b"a", b"b", b"a-b", b"a.b", b"a b", b"a0", b"\x80", b"\xff", b"\x01", b"c", b"d"]
TIMES = [1_600_000_000_000_000_000, 1_600_000_000_000_000_001, 1_700_000_000_500_000_000]
SIZES = [0, 1, 511, 4096, 5000, 70_000, 1_048_576, 1_048_577, 2_600_000]
IDS = [0, 33, 1000] if os.geteuid() == 0 else [os.geteuid()]


def entries():
    found = []
    for top, dirs, files in os.walk(root):
        dirs.sort()
        found += [os.path.join(top, name) for name in sorted(dirs + files)]
    return found


def pick(test=lambda mode: True):
    fitting = [path for path in entries() if test(os.lstat(path).st_mode)]
    return dice.choice(fitting) if fitting else None


def directory():
    return dice.choice([root] + [path for path in entries() if stat.S_ISDIR(os.lstat(path).st_mode)])


def place():
    """A name that is free now, at most four levels deep."""
    for _ in range(50):
        path = os.path.join(directory(), dice.choice(NAMES))
        if not os.path.lexists(path) and path.count(b"/") - root.count(b"/") <= 4:
            return path
    return None


def content(size):
    # A few different contents, so that equal ones meet again.
    return random.Random(dice.randrange(6)).randbytes(size)


def write(path):
    with open(path, "wb") as file:
        size = dice.choice(SIZES)
        if dice.random() < 0.15:
            file.truncate(size)
            file.seek(size // 2)
            file.write(content(min(100, size - size // 2)))
        else:
            file.write(content(size))


def create():
    path = place()
    if path is None:
        return None
    kind = dice.choice(["file", "file", "file", "dir", "dir", "symlink", "fifo"])
    if kind == "file":
        write(path)
    elif kind == "dir":
        os.mkdir(path)
    elif kind == "symlink":
        os.symlink(dice.choice(NAMES), path)
    else:
        os.mkfifo(path)
    return path


def remove():
    path = pick()
    if path is not None:
        shutil.rmtree(path) if stat.S_ISDIR(os.lstat(path).st_mode) else os.unlink(path)
    return path


def rename():
    path, target = pick(), place()
    if path is None or target is None or target.startswith(path + b"/"):
        return None
    os.rename(path, target)
    return path + b" -> " + target


def link():
    path, target = pick(lambda mode: not stat.S_ISDIR(mode)), place()
    if path is None or target is None:
        return None
    os.link(path, target, follow_symlinks=False)
    return path + b" = " + target


def swap():
    one, other = pick(stat.S_ISREG), pick(stat.S_ISREG)
    if one is None or one == other or os.path.samefile(one, other):
        return None
    os.rename(one, root + b"/.swap")
    os.rename(other, one)
    os.rename(root + b"/.swap", other)
    return one + b" <-> " + other


def unlink_group():
    """Another inode with the same content and metadata under the same name."""
    path = pick(stat.S_ISREG)
    if path is not None:
        shutil.copy2(path, root + b"/.copy")
        os.rename(root + b"/.copy", path)
    return path


def rewrite_quietly():
    path = pick(stat.S_ISREG)
    if path is not None:
        info = os.stat(path)
        with open(path, "r+b") as file:
            file.write(content(info.st_size))
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    return path


def rewrite():
    path = pick(stat.S_ISREG)
    if path is not None:
        write(path)
    return path


def append():
    path = pick(stat.S_ISREG)
    if path is not None:
        with open(path, "ab") as file:
            file.write(b"more")
    return path


def touch():
    path = pick()
    if path is not None:
        os.utime(path, ns=(0, dice.choice(TIMES)), follow_symlinks=False)
    return path


def mode():
    path = pick(lambda bits: not stat.S_ISLNK(bits))
    if path is not None:
        os.chmod(path, dice.choice([0o700, 0o755, 0o750, 0o4711, 0o2770]))
    return path


def owner():
    path = pick()
    if path is not None:
        os.chown(path, dice.choice(IDS), dice.choice(IDS), follow_symlinks=False)
    return path


def attribute():
    path = pick(lambda bits: stat.S_ISREG(bits) or stat.S_ISDIR(bits))
    if path is not None:
        if b"user.note" in map(os.fsencode, os.listxattr(path)) and dice.random() < 0.5:
            os.removexattr(path, "user.note")
        else:
            os.setxattr(path, "user.note", dice.choice([b"one", b"two", b""]))
    return path


ACTIONS = [create] * 6 + [
    remove, rename, rename, link, link, swap, unlink_group, rewrite_quietly, rewrite, append, touch, touch, mode, owner,
    attribute,
]
for _ in range(count):
    action = dice.choice(ACTIONS)
    print(action.__name__, action())
