#!/bin/sh
# A server with the module, to try it with redis-cli. Ctrl-c ends it and removes its files. PORT names a port.
# `serve.sh EXAMPLE` runs that example of the SeaORM adapter on the server instead, and ends with it.
set -eu
cd "$(dirname "$0")/.."
. tools/ready.sh

case ${PORT:-1} in
*[!0-9]* | ?????? | 0)
    stop "PORT is '$PORT', which is no port from 1 to 65535. Name another, or unset it, then run this again."
    ;;
esac
ready rust certificates compiler libclang server
build --profile show -p cacheops-module
target=${CARGO_TARGET_DIR:-target}/show
module=$(cd "$target" && pwd)/libcacheops.so
[ "$#" = 0 ] || build --profile show -p cacheops-sea-orm --example "$1"

dir=$(mktemp -d)
pid=
finish() {
    trap - INT TERM HUP EXIT
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
    rm -rf "$dir"
}
trap 'finish; exit 0' INT TERM HUP
trap finish EXIT

log_says() { grep -Eiq "$1" "$dir/server.log"; }

attempt=0
while :; do
    attempt=$((attempt + 1))
    port=${PORT:-$((20000 + ($$ * 31 + attempt * 7919) % 40000))}
    "$server" --bind 127.0.0.1 --port "$port" --save '' --appendonly no --daemonize no \
        --dir "$dir" --loadmodule "$module" >"$dir/server.log" 2>&1 &
    pid=$!
    waits=0
    while kill -0 "$pid" 2>/dev/null && [ "$waits" -lt 100 ]; do
        ! log_says 'ready to accept connections' || break 2
        waits=$((waits + 1))
        sleep 0.1
    done
    if log_says 'address already in use|failed listening|permission denied'; then
        # One that was chosen here is taken: try the next.
        [ -n "${PORT:-}" ] || [ "$attempt" -ge 5 ] || continue
        cat "$dir/server.log" >&2
        stop "The server cannot listen on port $port of 127.0.0.1: another program has it, or it needs root." \
            "PORT=20001 make serve takes another; without PORT a free one is searched."
    fi
    cat "$dir/server.log" >&2
    if log_says "failed to load|can't load module|error loading"; then
        stop "$server ($(version_of "$server")) does not load $module: its messages are above." \
            "CACHEOPS_SERVER=/path/to/redis-server names another server, Redis 7.0 or Valkey 8.0 or later."
    fi
    stop "$server ($(version_of "$server")) does not start: its messages are above." \
        "CACHEOPS_SERVER=/path/to/redis-server names another server."
done

if [ "$#" -gt 0 ]; then
    "$target/examples/$1" "redis://127.0.0.1:$port/"
    exit
fi

cat <<TEXT

  $(version_of "$server"), with libcacheops.so, on port $port. Ctrl-c stops it.

      redis-cli -p $port

  and at its prompt

      CACHEOPS.STORE posts:7 "three posts" EX 3600 ON post author=7&deleted_at
      CACHEOPS.GET posts:7
      CACHEOPS.EXPLAIN posts:7
      CACHEOPS.INVALIDATE ON post id=42&author=7&deleted_at
      CACHEOPS.GET posts:7

TEXT
wait "$pid"
