"""Changes files while a backup reads them, for test/e2e/matching/racing.ts. Arguments: ROOT FLAG.

Waits until FLAG exists, then keeps on: a/growing gets longer, a/shrinking shorter, b/small-growing longer, and the
files of c/ vanish from the last to the first.
"""
import os, sys, time

root, flag = sys.argv[1:3]
while not os.path.exists(flag):
    time.sleep(0.005)
doomed = sorted(os.listdir(f"{root}/c"))
growing = open(f"{root}/a/growing", "ab", buffering=0)
small = open(f"{root}/b/small-growing", "ab", buffering=0)
size = os.path.getsize(f"{root}/a/shrinking")
for step in range(1_000_000):
    growing.write(os.urandom(3000))
    size = max(size - 20_000, 1_000_000)
    os.truncate(f"{root}/a/shrinking", size)
    if step % 10 == 0 and step < 2000:
        small.write(b"x" * 100)
    for _ in range(3):
        if doomed:
            os.unlink(f"{root}/c/{doomed.pop()}")
    time.sleep(0.005)
