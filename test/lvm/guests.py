#!/usr/bin/python3
"""Plays the running guests of a hypervisor: writes a generation number to the first, then to the second of two places, and
begins again, until its standing order is gone.

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


def main():
    kind, first, second = sys.argv[1:4]
    if kind == "files":
        first, second, write, hold = first + "/log", second + "/log", append, None
    else:
        flags = os.O_WRONLY | os.O_DIRECT | os.O_DSYNC
        first, second, write, hold = os.open(first, flags), os.open(second, flags), write_block, sys.argv[4]
    number = 0
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
