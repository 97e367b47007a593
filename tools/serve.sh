#!/bin/sh
# A server with the module, to try it with redis-cli. Ctrl-c ends it and removes its files. PORT names a port.
# With arguments it runs these as a command, with the server's URL behind them, and ends with it.
set -eu
cd "$(dirname "$0")/.."
. tools/ready.sh

cargo build --release -p cacheops-module
module=$(cd "${CARGO_TARGET_DIR:-target}/release" && pwd)/libcacheops.so

dir=$(mktemp -d)
pid=
stop() {
    trap - INT TERM HUP EXIT
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
    rm -rf "$dir"
}
trap 'stop; exit 0' INT TERM HUP
trap stop EXIT

# A port that is taken makes the server end at once: try the next.
attempt=0
while :; do
    attempt=$((attempt + 1))
    port=${PORT:-$((20000 + ($$ * 31 + attempt * 7919) % 40000))}
    "$server" --bind 127.0.0.1 --port "$port" --save '' --appendonly no --daemonize no \
        --dir "$dir" --loadmodule "$module" >"$dir/server.log" 2>&1 &
    pid=$!
    waits=0
    while kill -0 "$pid" 2>/dev/null && [ "$waits" -lt 100 ]; do
        ! grep -qi 'ready to accept connections' "$dir/server.log" || break 2
        waits=$((waits + 1))
        sleep 0.1
    done
    if [ -n "${PORT:-}" ] || [ "$attempt" -ge 5 ]; then
        cat "$dir/server.log" >&2
        exit 1
    fi
    kill "$pid" 2>/dev/null || true
done

if [ "$#" -gt 0 ]; then
    "$@" "redis://127.0.0.1:$port/"
    exit
fi

cat <<TEXT

  $("$server" --version | cut -d' ' -f1-3), with libcacheops.so, on port $port. Ctrl-c stops it.

      redis-cli -p $port

  and at its prompt

      CACHEOPS.STORE posts:7 "three posts" EX 3600 ON post author=7&deleted_at
      CACHEOPS.GET posts:7
      CACHEOPS.EXPLAIN posts:7
      CACHEOPS.INVALIDATE ON post id=42&author=7&deleted_at
      CACHEOPS.GET posts:7

TEXT
wait "$pid"
