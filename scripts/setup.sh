#!/bin/sh
# Installs the npm packages when they are missing or older than the lock file.
# better-sqlite3 and zstd-napi are compiled here, so a compiler, make and python3 are needed.
set -eu
cd "$(dirname "$0")/.."
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  echo "installing npm packages (two native ones are compiled: about two minutes)" >&2
  # Headers that came with node, so that nothing needs to be fetched for compiling.
  prefix="$(node -p 'require("node:path").resolve(process.execPath, "../..")')"
  if [ -f "$prefix/include/node/node.h" ]; then export npm_config_nodedir="${npm_config_nodedir:-$prefix}"; fi
  # Not "npm ci": it refuses when a registry lacks an optional package for some other platform.
  JOBS="$(nproc)" npm install --no-save --no-fund --no-audit
fi
