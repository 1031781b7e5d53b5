#!/usr/bin/python3
"""Plays the running guests of a hypervisor: writes a generation number to the first, then to the second of two places, and
begins again, for ever. It goes on where it was when it ended.

guests.py files DIR1 DIR2       appends to DIR1/log and DIR2/log, as programs in a guest do
guests.py blocks DEV1 DEV2 HOLD writes the first block of each device past all caches, as a guest's disk driver does; while
                                the file HOLD is there it stands still between two generations, and HOLD.held is there too
"""
import mmap
import os
import sys
import time


def append(path, number):
    """One line, durably."""
    with open(path, "ab", 0) as file:
        file.write(b"%012d\n" % number)
        os.fsync(file.fileno())


def write_block(device, number):
    block = mmap.mmap(-1, 4096)
    block.write(b"%012d\n" % number)
    os.pwrite(device, block, 0)


def last_line(path):
    with open(path, "rb") as file:
        lines = file.read().splitlines()
    return int(lines[-1]) if lines else 0


def read_block(device):
    """0 of a new disk."""
    return int(os.pread(device, 12, 0).strip(b"\0") or b"0")


def main():
    kind, first, second = sys.argv[1:4]
    if kind == "files":
        first, second, read, write, hold = first + "/log", second + "/log", last_line, append, None
    else:
        # Reading goes through the cache, before anything is written past it.
        number = [read_block(os.open(each, os.O_RDONLY)) for each in (first, second)]
        flags = os.O_WRONLY | os.O_DIRECT | os.O_DSYNC
        first, second = os.open(first, flags), os.open(second, flags)
        read, write, hold = {first: number[0], second: number[1]}.get, write_block, sys.argv[4]
    number = read(first)
    # After a crash between the two.
    if read(second) < number:
        write(second, number)
    while True:
        number += 1
        write(first, number)
        time.sleep(0.03)
        write(second, number)
        time.sleep(0.03)
        if hold and os.path.exists(hold):
            open(hold + ".held", "w").close()
            while os.path.exists(hold):
                time.sleep(0.02)
            os.unlink(hold + ".held")


main()
