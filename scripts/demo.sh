#!/bin/sh
# The demonstration: installs what it needs, builds, and runs test/demo/demo.ts.
# Usage: npm run demo [-- DIR]   (default: ./var/demo)
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  missing=""
  for pair in mmdebstrap:mmdebstrap rsync:rsync setfacl:acl setfattr:attr setcap:libcap2-bin zstd:zstd python3:python3 g++:g++ make:make; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
  done
  if [ -n "$missing" ]; then
    echo "installing$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -qq update && apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends $missing; } >/dev/null \
      || echo "apt-get failed; going on without$missing" >&2
  fi
fi
sh scripts/setup.sh
sh scripts/build.sh
exec node --enable-source-maps build/test/demo/demo.js "$@"
