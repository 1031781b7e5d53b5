#!/bin/sh
# Installs what is missing, builds, and runs all tests; with "long" only those that take many minutes, with "lvm" those
# with real LVM, of both kinds.
# With BASALT_NO_SKIP=1 a skipped test is a failure. More arguments are names of tests to run: test.sh [long|lvm] PATTERN
set -eu
cd "$(dirname "$0")/.."
kind=""
case "${1:-}" in
  long | lvm)
    kind="$1"
    shift
    ;;
esac
sh scripts/apt.sh g++:g++ make:make python3:python3 b3sum:b3sum rsync:rsync setfacl:acl setfattr:attr setcap:libcap2-bin \
  zstd:zstd bsdtar:libarchive-tools mmdebstrap:mmdebstrap \
  mke2fs:e2fsprogs mkfs.xfs:xfsprogs mkfs.vfat:dosfstools sfdisk:fdisk sgdisk:gdisk losetup:mount fsfreeze:util-linux \
  nbdinfo:libnbd-bin fusermount3:fuse3 \
  linux.uml:user-mode-linux modprobe:kmod lvm:lvm2 thin_check:thin-provisioning-tools ip:iproute2 mkfs.btrfs:btrfs-progs mkfs.vfat:dosfstools \
  qemu-ga:qemu-guest-agent qemu-system-x86_64:qemu-system-x86 virsh:libvirt-clients libvirtd:libvirt-daemon \
  "/usr/lib/$(uname -m)-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so:libvirt-daemon-driver-qemu" \
  /etc/bacula/bacula-dir.conf:bacula-director-sqlite3 /etc/bacula/bacula-sd.conf:bacula-sd \
  /etc/bacula/bacula-fd.conf:bacula-fd /etc/bacula/bconsole.conf:bacula-console
sh scripts/setup.sh
sh scripts/build.sh

# build/ may still hold what was compiled from a file that is gone.
files=""
for file in $(find build -name '*.test.js' | sort); do
  source="${file#build/}"
  [ -f "${source%.js}.ts" ] || continue
  case "$kind:$file" in
    lvm:build/test/lvm/*) ;;
    lvm:*) continue ;;
    long:*.long.test.js) ;;
    long:*) continue ;;
    *.long.test.js) continue ;;
  esac
  case "$file" in
    *"${1:-}"*) files="$files $file" ;;
  esac
done
if [ -z "$files" ]; then
  echo "no tests to run" >&2
  exit 1
fi
# Directors that consoles meet in tests are new ones each time, on ports that others had before.
BASALT_DIRECTORS="$PWD/build/directors"
export BASALT_DIRECTORS
rm -rf "$BASALT_DIRECTORS"
timeout=2400000
[ -z "$kind" ] || timeout=7200000
# Tests wait for daemons a third of their time.
concurrency=$(($(nproc) + 1))
status=0
# shellcheck disable=SC2086
node --enable-source-maps --test --test-concurrency="$concurrency" --test-timeout="$timeout" \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination=build/test.tap $files || status=$?
if [ "$status" = 0 ] && [ "${BASALT_NO_SKIP:-}" = 1 ] && grep -qE '^ *ok .* # SKIP' build/test.tap; then
  echo "skipped tests count as failures here:" >&2
  grep -E '^ *ok .* # SKIP' build/test.tap >&2
  status=1
fi
exit "$status"
