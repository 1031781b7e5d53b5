#!/bin/sh
# The demonstration: installs what it needs, builds, and runs test/demo/demo.ts.
# Usage: npm run demo [-- DIR]   (default: ./var/demo)
set -eu
cd "$(dirname "$0")/.."
sh scripts/apt.sh g++:g++ make:make python3:python3 mmdebstrap:mmdebstrap rsync:rsync setfacl:acl setfattr:attr \
  setcap:libcap2-bin zstd:zstd
sh scripts/setup.sh
sh scripts/build.sh
exec node --enable-source-maps build/test/demo/demo.js "$@"
