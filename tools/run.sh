#!/bin/sh
# Shows an application at work, on a server of its own that is gone afterwards. Ends with 0 only if every answer of the
# cache was right. PROFILE=release takes longer to build, and is faster.
set -eu
cd "$(dirname "$0")/.."
. tools/ready.sh

profile=${PROFILE:-show}
case $profile in
show | release) ;;
*) stop "PROFILE is '$profile', which is neither show nor release." ;;
esac
ready rust certificates compiler libclang server

# Apart, since together they would share features and `make serve` would have to build the module again.
build --profile "$profile" -p cacheops-module
build --profile "$profile" -p cacheops-demo
built=${CARGO_TARGET_DIR:-target}/$profile
exec "$built/cacheops-demo" "$built/libcacheops.so" "$server"
