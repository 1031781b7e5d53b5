#!/bin/bash
# The first process of a User Mode Linux machine; see uml.ts. The host's whole tree is its root, read-only. It runs what
# the host puts into the shared directory as run.N, puts output and exit status beside it, and ends when told to.
# Starting a program takes 45 ms here: what waits is built into the shell.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/home LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs -o mode=755 tmp /run
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /dev/pts /dev/shm /run/home /run/lvm /run/lock /run/kmod/lib/modules
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm

# What the kernel's command line holds and the kernel does not know is in the environment.
# The same path on both sides.
mkdir -p "$shared"
mount -t hostfs -o "$shared" none "$shared"
# A repository below /tmp would be hidden now.
repository="${0%/test/lvm/uml-init.sh}"
if [ ! -e "$repository/basalt" ]; then
  mkdir -p "$repository"
  mount -r -t hostfs -o "$repository" none "$repository"
fi
cd "$shared" || exit 1

read -r release </proc/sys/kernel/osrelease
ln -s "/usr/lib/uml/modules/$release" "/run/kmod/lib/modules/$release"
printf '#!/bin/sh\nexec modprobe -d /run/kmod "$@"\n' >/run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
modprobe -d /run/kmod -a ${modules//,/ }

echo "$host" >/proc/sys/kernel/hostname
ip link set lo up
if [ -n "${address:-}" ]; then
  for device in /sys/class/net/*; do
    device="${device##*/}"
    [ "$device" = lo ] && continue
    ip addr add "$address" dev "$device"
    ip link set "$device" up
    break
  done
fi

# Without udev, and without a word written to the host's /etc. Programs with a clean environment find it too.
export LVM_SUPPRESS_FD_WARNINGS=1
mount --bind /run/lvm /etc/lvm
cat >/run/lvm/lvm.conf <<'LVM'
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
devices { use_devicesfile = 0 dir = "/dev" }
backup { backup = 0 archive = 0 }
global { locking_dir = "/run/lock/lvm" }
LVM
vgchange -q -ay >lvm.log 2>&1
# Nobody writes to it: reading with a limit is a sleep without a process.
mkfifo /run/never
exec 9<>/run/never
echo >booted

next=1
until [ -e poweroff ]; do
  if [ -e "run.$next" ]; then
    { /bin/bash "./run.$next" >"out.$next" 2>&1 9<&-; echo "$?" >"rc.$next"; } &
    next=$((next + 1))
  else
    read -rt 0.05 -u 9
  fi
done
sync
poweroff -f
