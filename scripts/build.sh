#!/bin/sh
# Generates the types of the .proto files and compiles everything to build/.
set -eu
cd "$(dirname "$0")/.."
npx proto-loader-gen-types --longs=Number --enums=String --defaults --oneofs \
  --grpcLib=@grpc/grpc-js --importFileExtension=.js --outDir=proto/generated proto/*.proto >/dev/null
npx tsc -p tsconfig.json
