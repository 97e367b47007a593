#!/bin/sh
# make test-sea-orm-suite: SeaORM's own tests on SQLite, with the connection's type changed and every read checked.
#
# Takes the test programs of the registry's source package of sea-orm, at the version of Cargo.lock, and compiles them
# against a facade named sea_orm (tools/sea-orm-suite/facade.rs), in which a connection is a cached one: each read is made
# twice through the cache as well, and compared. tools/sea-orm-suite/known names the programs that cannot be compiled so
# (`program: reason`) and the tests that cannot pass (`program::test: reason`). At last crud_tests are run with the
# invalidation off, and must fail. Arguments are names of programs; without any, all are run.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=tools/ready.sh
. tools/ready.sh
ready rust certificates compiler server
project=$(pwd)
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
# Cargo compiles anew what is younger than its program, so files keep their time, and stay where they have not changed.
cp -rp "$source/tests" "$dir/tests"
for file in "$dir"/tests/*.rs "$dir"/tests/*/main.rs; do
    name=${file#"$dir"/tests/}
    name=${name%/main.rs}
    name=${name%.rs}
    case " ${*:-$name} " in
    *" $name "*) echo "$name" ;;
    *) rm "$file" ;;
    esac
done | sort > "$dir/names"
[ -f "$dir/lib.rs" ] || : > "$dir/lib.rs"
for file in facade.rs hits.rs; do
    cmp -s "tools/sea-orm-suite/$file" "$dir/facade/$file" || cp "tools/sea-orm-suite/$file" "$dir/facade/$file"
done
filled() { sed -e "s|@VERSION@|$version|; s|@SQLX@|$(locked sqlx)|; s|@ROOT@|$project|" "$1" > "$2"; }
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

rm -f "$dir/socket"
"$server" --port 0 --unixsocket "$dir/socket" --save '' --appendonly no --loglevel warning --dir "$dir" \
    --loadmodule "$module" > "$dir/server.log" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM HUP
tries=0
until [ -S "$dir/socket" ]; do
    tries=$((tries + 1))
    if ! kill -0 "$pid" 2>/dev/null || [ "$tries" -ge 600 ]; then
        cat "$dir/server.log" >&2
        exit 1
    fi
    sleep 0.1
done

CACHEOPS_SUITE_URL=unix://$dir/socket
export CACHEOPS_SUITE_URL
# known NAME: why it cannot be compiled, or pass.
known() { sed -n "s/^$1: //p" tools/sea-orm-suite/known; }
run() {
    (cd "$dir" && DATABASE_URL=sqlite::memory: RUST_MIN_STACK=8388608 "$program" --test-threads 1 --exact "$@")
}
all=$#
failed=
passed=0
compiled=0
excepted=0
empty=0
while read -r name; do
    why=$(known "$name")
    program=$(sed -n "s/^$name //p" "$dir/programs")
    if [ -z "$program" ]; then
        echo "$name: not compiled: ${why:-a new error, see $dir/compile.log}"
        [ -n "$why" ] || failed="$failed $name"
        continue
    fi
    compiled=$((compiled + 1))
    if [ -n "$why" ]; then
        echo "$name: compiles, and tools/sea-orm-suite/known says that it cannot be compiled"
        failed="$failed $name"
    fi
    set --
    # shellcheck disable=SC2013 # names without blanks
    for test in $(sed -n "s/^$name::\([^ ]*\): .*/\1/p" tools/sea-orm-suite/known); do
        if run "$test" > "$dir/$name.$test.log" 2>&1; then
            echo "$name::$test: passes or does not exist, and tools/sea-orm-suite/known says that it cannot pass"
            failed="$failed $name::$test"
        else
            echo "$name::$test: known: $(known "$name::$test")"
            excepted=$((excepted + 1))
        fi
        set -- "$@" --skip "$test"
    done
    run "$@" > "$dir/$name.log" 2>&1 && ok=yes || ok=
    number=$(sed -n 's/^test result: .* \([0-9]*\) passed;.*/\1/p' "$dir/$name.log")
    passed=$((passed + ${number:-0}))
    if [ -n "$ok" ] && [ -n "$number" ]; then
        [ "$number" != 0 ] || empty=$((empty + 1))
        echo "$name: $number passed"
    else
        echo "$name: FAILED, see $dir/$name.log:"
        sed -n 's/^test \(.*\) \.\.\. FAILED$/    \1/p' "$dir/$name.log"
        failed="$failed $name"
    fi
done < "$dir/names"

hits=$(cd "$dir" && CARGO_TARGET_DIR="$dir/target" \
    cargo run -q --manifest-path facade/Cargo.toml --example hits)
program=$(sed -n 's/^crud_tests //p' "$dir/programs")
if [ -n "$program" ] && CACHEOPS_SUITE_BLIND=1 run > "$dir/blind.log" 2>&1; then
    echo "crud_tests: passed without any invalidation, so that nothing is checked"
    failed="$failed crud_tests(blind)"
fi
while IFS=: read -r name _; do
    if [ "$all" = 0 ] && ! grep -q "^$name$" "$dir/names"; then
        echo "$name: is in tools/sea-orm-suite/known, and there is no such program"
        failed="$failed $name"
    fi
done < tools/sea-orm-suite/known
echo "sea-orm $version: $passed tests passed and $excepted are known not to, $hits checked reads were answered by the cache;" \
    "$compiled of $(wc -l < "$dir/names") programs were compiled, $empty of them have no test for SQLite and these features"
[ "$all" != 0 ] || [ "$hits" -gt 0 ] || failed="$failed (no read was checked)"
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
