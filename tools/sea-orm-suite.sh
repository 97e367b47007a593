#!/bin/sh
# make test-sea-orm-suite: SeaORM's own tests on SQLite, with the connection's type changed and every read checked.
#
# Takes the test programs of the registry's source package of sea-orm, at the version of Cargo.lock, and compiles them
# against a facade named sea_orm (tools/sea-orm-suite/facade.rs), in which a connection is a cached one: each read is made
# twice through the cache as well, and compared. tools/sea-orm-suite/known names the programs that cannot be compiled so,
# and why. Arguments are names of programs; without any, all are run.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
# shellcheck source=tools/ready.sh
. tools/ready.sh
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
module=${CACHEOPS_MODULE:-$target/release/libcacheops.so}
if [ ! -f "$module" ]; then
    echo "no module at $module: run 'make build', or name another by CACHEOPS_MODULE" >&2
    exit 1
fi

locked() { sed -n "/^name = \"$1\"$/{n;s/^version = \"\(.*\)\"$/\1/p;}" Cargo.lock; }
version=$(locked sea-orm)
cargo fetch -q
source=$(find "${CARGO_HOME:-$HOME/.cargo}/registry/src" -maxdepth 2 -name "sea-orm-$version" | head -n 1)
if [ -z "$source" ]; then
    echo "the source package of sea-orm $version is not in the registry of cargo" >&2
    exit 1
fi

dir=$target/sea-orm-suite
rm -rf "$dir/tests"
mkdir -p "$dir/facade"
cp -r "$source/tests" "$dir/tests"
[ $# = 0 ] || for program in "$dir"/tests/*.rs; do
    case " $* " in *" $(basename "$program" .rs) "*) ;; *) rm "$program" ;; esac
done
: > "$dir/lib.rs"
cp tools/sea-orm-suite/facade.rs "$dir/facade/facade.rs"
filled() { sed -e "s|@VERSION@|$version|; s|@SQLX@|$(locked sqlx)|; s|@ROOT@|$root|" "$1" > "$2"; }
filled tools/sea-orm-suite/Cargo.toml.in "$dir/Cargo.toml"
filled tools/sea-orm-suite/facade.toml.in "$dir/facade/Cargo.toml"
cp Cargo.lock "$dir/Cargo.lock"

# What cannot be compiled is listed below.
(cd "$dir" && CARGO_TARGET_DIR="$target/sea-orm-suite/target" \
    cargo build --tests --keep-going --message-format=json-render-diagnostics > artifacts.json 2> compile.log) || true
sed -n 's/.*"kind":\["test"\].*"name":"\([^"]*\)","src_path".*"executable":"\([^"]*\)".*/\1 \2/p' \
    "$dir/artifacts.json" | sort > "$dir/programs"
if [ ! -s "$dir/programs" ]; then
    tail -n 40 "$dir/compile.log" >&2
    exit 1
fi

"$server" --port 0 --unixsocket "$dir/socket" --save '' --appendonly no --loglevel warning --dir "$dir" \
    --loadmodule "$module" > "$dir/server.log" 2>&1 &
trap 'kill $! 2>/dev/null || true' EXIT
tries=0
until [ -S "$dir/socket" ]; do
    tries=$((tries + 1))
    kill -0 $! 2>/dev/null && [ "$tries" -lt 600 ] || { cat "$dir/server.log" >&2; exit 1; }
    sleep 0.1
done

failed=
tests=0
while read -r name program; do
    if CACHEOPS_SUITE_URL="unix://$dir/socket" DATABASE_URL=sqlite::memory: RUST_MIN_STACK=8388608 \
        "$program" --test-threads 1 > "$dir/$name.log" 2>&1; then
        passed=$(sed -n 's/^test result: ok. \([0-9]*\) passed.*/\1/p' "$dir/$name.log")
        tests=$((tests + passed))
        echo "$name: $passed passed"
    else
        failed="$failed $name"
        echo "$name: FAILED, see $dir/$name.log"
    fi
done < "$dir/programs"

for file in "$dir"/tests/*.rs; do
    name=$(basename "$file" .rs)
    known=$(sed -n "s/^$name: //p" tools/sea-orm-suite/known)
    if ! grep -q "^$name " "$dir/programs"; then
        echo "$name: not compiled: ${known:-a new error, see $dir/compile.log}"
        [ -n "$known" ] || failed="$failed $name"
    elif [ -n "$known" ]; then
        echo "$name: is in tools/sea-orm-suite/known and compiles"
        failed="$failed $name"
    fi
done
echo "sea-orm $version: $tests tests passed in $(wc -l < "$dir/programs") programs"
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
