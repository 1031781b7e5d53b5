#!/bin/sh
# Installs the peers where that is possible, builds, and runs the benchmark.
# Usage: npm run bench [-- --scale small|full|huge --repeat N --phase NAME,NAME --only NAME,NAME --dir DIR --json FILE
#                          --latency MS --limit MB --trace FILE --profile DIR]
#        npm run bench -- catalog [--machines N --runs N --entries N --changes N --dir DIR --json FILE]
set -eu
cd "$(dirname "$0")/.."
if [ "${1:-}" = catalog ]; then
  shift
  sh scripts/setup.sh
  sh scripts/build.sh
  exec node --enable-source-maps build/bench/catalog/run.js "$@"
fi
case " $* " in
  *" --help "* | *" -h "*)
    sh scripts/setup.sh
    sh scripts/build.sh
    exec node build/bench/run.js --help
    ;;
esac
sh scripts/apt.sh python3:python3 rsync:rsync zstd:zstd mke2fs:e2fsprogs mmdebstrap:mmdebstrap restic:restic borg:borgbackup \
  bacula-dir:bacula-director /usr/share/bacula-director/make_sqlite3_tables:bacula-director-sqlite3 \
  bacula-sd:bacula-sd bacula-fd:bacula-fd bconsole:bacula-console
sh scripts/setup.sh
sh scripts/build.sh
exec node --enable-source-maps build/bench/run.js "$@"
