#!/bin/sh
# Shows an application at work, on a server of its own that is gone afterwards. Ends with 0 only if every answer of the
# cache was right.
set -eu
cd "$(dirname "$0")/.."
. tools/ready.sh

# Apart, since together they would share features and `make build` would have to build the module again.
cargo build --release -p cacheops-module
cargo build --release -p cacheops-demo
exec "${CARGO_TARGET_DIR:-target}/release/cacheops-demo" "${CARGO_TARGET_DIR:-target}/release/libcacheops.so" "$server"
