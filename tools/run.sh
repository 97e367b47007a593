#!/bin/sh
# Shows the module at work on real data, on a server of its own that is gone afterwards. Ends with 0 only if every
# answer of the cache was right.
set -eu
cd "$(dirname "$0")/.."
. tools/ready.sh

cargo build --release -p cacheops-module -p cacheops-demo
exec "${CARGO_TARGET_DIR:-target}/release/cacheops-demo" "${CARGO_TARGET_DIR:-target}/release/libcacheops.so" "$server"
