"""Copies a tree with everything in it, for test/helpers/scenario.ts. Arguments: FROM TO (which must not exist).

Unlike cp, tar and rsync it copies paths beyond PATH_MAX and makes holes exactly where the original has them.
Sockets are left out, as in a backup.
"""
import os, stat, sys

source, target = (os.fsencode(name) for name in sys.argv[1:3])
firsts = {}


def address(fd, name):
    return b"/proc/self/fd/%d/%s" % (fd, name)


def reach(root, parts):
    """Descriptor of a directory below `root`."""
    fd = os.dup(root)
    for part in parts:
        below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        os.close(fd)
        fd = below
    return fd


def copy_content(name, source_fd, target_fd, size):
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=source_fd)
    writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=target_fd)
    os.ftruncate(writing, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(reading, at, os.SEEK_DATA)
        except OSError:
            break
        end = os.lseek(reading, at, os.SEEK_HOLE)
        while at < end:
            data = os.pread(reading, min(end - at, 1 << 20), at)
            os.pwrite(writing, data, at)
            at += len(data)
    os.close(reading)
    os.close(writing)


def copy_metadata(source_fd, target_fd, name, info):
    """Owner first (it clears capabilities and set-id bits), then mode, attributes, and times last."""
    os.chown(name, info.st_uid, info.st_gid, dir_fd=target_fd, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(name, stat.S_IMODE(info.st_mode), dir_fd=target_fd)
    origin, place = address(source_fd, name), address(target_fd, name)
    for key in os.listxattr(origin, follow_symlinks=False):
        os.setxattr(place, key, os.getxattr(origin, key, follow_symlinks=False), follow_symlinks=False)
    os.utime(name, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=target_fd, follow_symlinks=False)


def copy_entry(source_fd, target_fd, name, path, info):
    """False when it is another name of an entry that is there, or left out."""
    kind = stat.S_IFMT(info.st_mode)
    if kind == stat.S_IFSOCK:
        return False
    if info.st_nlink > 1:
        first = firsts.setdefault((info.st_dev, info.st_ino), path)
        if first is not path:
            there = reach(target_root, first[:-1])
            os.link(first[-1], name, src_dir_fd=there, dst_dir_fd=target_fd, follow_symlinks=False)
            os.close(there)
            return False
    if kind == stat.S_IFREG:
        copy_content(name, source_fd, target_fd, info.st_size)
    elif kind == stat.S_IFLNK:
        os.symlink(os.readlink(name, dir_fd=source_fd), name, dir_fd=target_fd)
    else:
        os.mknod(name, info.st_mode, info.st_rdev, dir_fd=target_fd)
    return True


def copy_directory(source_fd, target_fd, path):
    for text in sorted(os.listdir(source_fd)):
        name = os.fsencode(text)
        info = os.stat(name, dir_fd=source_fd, follow_symlinks=False)
        below = [*path, name]
        if stat.S_ISDIR(info.st_mode):
            os.mkdir(name, 0o700, dir_fd=target_fd)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            inner, made = os.open(name, flags, dir_fd=source_fd), os.open(name, flags, dir_fd=target_fd)
            copy_directory(inner, made, below)
            os.close(inner)
            os.close(made)
        elif not copy_entry(source_fd, target_fd, name, below, info):
            continue
        copy_metadata(source_fd, target_fd, name, info)


os.mkdir(target, 0o700)
source_root = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
target_root = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
copy_directory(source_root, target_root, [])
copy_metadata(source_root, target_root, b".", os.fstat(source_root))
