"""Makes a tree of many tiny files as fast as one process can. Arguments: ROOT OTHERS.

ROOT/big holds 200,000 names: 100,000 files and a second name for each of them. ROOT/part holds 1,000 files,
and below ROOT/d are OTHERS more in directories of 1,000.
"""
import os, sys

root, others = sys.argv[1], int(sys.argv[2])


def fill(path, names, seed):
    os.makedirs(path)
    parent = os.open(path, os.O_RDONLY)
    for number in range(names):
        fd = os.open(b"f%06d" % number, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=parent)
        os.write(fd, b"%s %d\n" % (seed, number))
        os.close(fd)
    return parent


big = fill(f"{root}/big", 100_000, b"big")
for number in range(100_000):
    os.link(b"f%06d" % number, b"l%06d" % number, src_dir_fd=big, dst_dir_fd=big)
fill(f"{root}/part", 1000, b"part")
for group in range(others // 1000):
    os.close(fill(f"{root}/d/{group:04d}", 1000, b"d%d" % group))
