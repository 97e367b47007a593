#!/bin/sh
# Tests of ready.sh on made-up machines: a directory instead of /, programs that only say something, no network.
# shellcheck disable=SC2016 # made-up programs and messages of cargo have $ and ` in them
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=tools/ready.sh
. tools/ready.sh

unset LIBCLANG_PATH LLVM_CONFIG_PATH LD_LIBRARY_PATH LIBRARY_PATH BINDGEN_EXTRA_CLANG_ARGS CACHEOPS_SERVER \
    CARGO_HTTP_CAINFO SSL_CERT_FILE SSL_CERT_DIR CARGO_TARGET_DIR
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0
machines=0
# What every Debian has; $PATH of a machine is these and what `has_program` adds.
mkdir "$scratch/base"
for name in awk cat chmod cp cut env getconf grep head id ln mkdir mktemp mv od readlink rm sed sh sort tail tee touch tr \
    uname; do
    ln -s "$(program "$name")" "$scratch/base/$name"
done

# --- made-up machines ---

machine() {
    machines=$((machines + 1))
    root=$scratch/$machines
    mkdir -p "$root/bin" "$root/usr/sbin" "$root/etc/ssl/certs" "$root/tmp"
    echo "a certificate" >"$root/etc/ssl/certs/ca-certificates.crt"
    echo "postgres:x:105:" >"$root/etc/passwd"
    PATH=$root/bin:$scratch/base
    valkey=$root/valkey-server
}

# has_library PATH [CLASS]: an ELF file, of 64 bits unless CLASS is 1.
has_library() {
    mkdir -p "$root/${1%/*}"
    # shellcheck disable=SC2059 # the format is the content
    printf "\\177ELF\\00${2:-2}" >"$root/$1"
}

has_file() {
    mkdir -p "$root/${1%/*}"
    echo "text" >"$root/$1"
}

# has_program NAME [COMMANDS]
has_program() {
    rm -f "$root/bin/$1"
    printf '#!/bin/sh\n%s\n' "${2:-exit 0}" >"$root/bin/$1"
    chmod +x "$root/bin/$1"
}

# Of which nothing is missing but what a test takes away.
complete_machine() {
    machine
    has_program cargo
    has_program rustc 'echo "rustc 1.94.1 (made up)"'
    has_program cc 'for last; do :; done; [ "$1" != -o ] || { echo >"$2"; chmod +x "$2"; }'
    has_program redis-server 'echo "Redis server v=7.0.15 sha=00000000:0"'
    has_program python3
    has_program openssl
    has_program kill
    has_library usr/lib/llvm-14/lib/libclang.so
    has_file usr/lib/clang/14/include/stddef.h
    mkdir -p "$root/usr/lib/postgresql/15/bin"
    for name in initdb postgres pg_isready; do cp "$root/bin/cargo" "$root/usr/lib/postgresql/15/bin/$name"; done
    cp "$root/bin/redis-server" "$valkey"
}

as_root() { has_program id 'echo 0'; }
as_user() { has_program id 'echo 1000'; }

# An apt-get that keeps a list of its calls, and then does COMMANDS.
has_apt() {
    has_program apt-get "echo \"\$*\" >>'$root/apt.log'; case \"\$*\" in *install*) :; ${1:-}; ;; esac"
    has_program sudo 'exit 1'
}

# --- what is expected ---

passes() { passed=$((passed + 1)); }
fails() {
    failed=$((failed + 1))
    printf 'FAILED: %s\n' "$1" "  $2" >&2
}

# is NAME EXPECTED GOT
is() {
    if [ "$2" = "$3" ]; then passes; else fails "$1" "expected '$2', got '$3'"; fi
}

# has NAME PART TEXT
has() {
    case $3 in *"$2"*) passes ;; *) fails "$1" "expected '$2' in: $3" ;; esac
}

# finds NAME PATH: the library that the build will load; no PATH for none.
finds() {
    found=$(find_libclang) || found=''
    is "$1" "$2" "${found#"$root/"}"
}

# ready_says NEED ... : what is said, then `ready` or `ended`.
ready_says() (
    # In a subshell of its own, which `stop` ends.
    if (ready "$@" && [ -z "$packages" ]) 2>&1; then echo ready; else echo ended; fi
)

# --- libclang ---

locked=$(sed -n '/^name = "clang-sys"$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)
is "the search is that of the clang-sys in Cargo.lock: compare its build/common.rs and build/dynamic.rs, then change it" \
    "$locked" "$clang_sys"

machine
finds "finds no libclang on an empty machine" ""

for name in libclang-cpp.so.14 libclang-cpp.so libclang-cpp.so.19.1 libclangTooling.so libclang.a libclang_rt.asan.so \
    libclang.dylib notlibclang.so; do
    machine
    has_library "usr/lib/llvm-14/lib/$name"
    has_library "usr/lib/x86_64-linux-gnu/$name"
    finds "does not take $name for libclang.so" ""
done

for name in libclang.so libclang-14.so libclang.so.1 libclang.so.18.1.8 libclang-14.so.1 libclang-19.so.19; do
    for dir in usr/local/llvm18/lib usr/local/lib/a/b usr/local/lib64/a usr/local/lib usr/lib/llvm-14/lib \
        usr/lib/x86_64-linux-gnu usr/lib64 usr/lib; do
        machine
        has_library "$dir/libclang-cpp.so.14"
        has_library "$dir/$name"
        finds "finds $name in $dir" "$dir/$name"
    done
done

for dir in usr/lib/a/b/c opt/llvm/lib usr/libexec2/a/b/c lib; do
    machine
    has_library "$dir/libclang.so"
    finds "does not find a library in $dir, where the build does not look" ""
done

machine
has_file usr/lib/libclang.so
finds "takes no text file for a library" ""
has_library usr/lib/libclang.so 1
[ "$(getconf LONG_BIT)" = 32 ] || finds "takes no library of 32 bits" ""
ln -s nowhere "$root/usr/lib/libclang.so.1"
finds "takes no link that leads nowhere" ""

machine
has_library usr/lib/llvm-14/lib/libclang-14.so.14.0.6
has_library usr/lib/llvm-9/lib/libclang-9.so.9
has_library usr/local/lib/libclang.so
finds "takes the newest version, wherever it is" "usr/lib/llvm-14/lib/libclang-14.so.14.0.6"

machine
has_library usr/lib/libclang.so
has_library usr/local/lib/libclang.so
finds "of equal versions takes the first directory" "usr/local/lib/libclang.so"

machine
has_library usr/lib/libclang-14.so
has_library elsewhere/libclang.so
has_library elsewhere/libclang-cpp.so.14
LIBCLANG_PATH=$root/elsewhere
finds "takes a directory named by LIBCLANG_PATH, and only that" "elsewhere/libclang.so"
LIBCLANG_PATH=$root/elsewhere/libclang.so
finds "takes a file named by LIBCLANG_PATH" "elsewhere/libclang.so"
LIBCLANG_PATH=$root/elsewhere/libclang-cpp.so.14
finds "takes no other library named by LIBCLANG_PATH" ""
LIBCLANG_PATH=$root/nowhere
finds "takes nothing else where LIBCLANG_PATH leads nowhere" ""
has "says that LIBCLANG_PATH is wrong, since no package mends that" "unset it" "$(ready_says libclang)"
unset LIBCLANG_PATH

machine
has_library opt/llvm/lib64/libclang.so
has_program llvm-config "echo '$root/opt/llvm'"
finds "searches the prefix of llvm-config" "opt/llvm/lib64/libclang.so"
has_program llvm-config 'exit 1'
finds "goes on where llvm-config fails" ""
has_program other-config "echo '$root/opt/llvm'"
LLVM_CONFIG_PATH=$root/bin/other-config
finds "takes the llvm-config that LLVM_CONFIG_PATH names" "opt/llvm/lib64/libclang.so"
unset LLVM_CONFIG_PATH

for variable in LD_LIBRARY_PATH LIBRARY_PATH; do
    machine
    has_library opt/llvm/lib/libclang.so
    eval "$variable=/nowhere:$root/opt/llvm/lib"
    finds "searches $variable" "opt/llvm/lib/libclang.so"
    unset "$variable"
done

# --- its headers ---

headers() { if has_clang_headers "$(find_libclang)"; then echo yes; else echo no; fi; }

machine
has_library usr/lib/x86_64-linux-gnu/libclang-14.so.14.0.6
ln -s libclang-14.so.14.0.6 "$root/usr/lib/x86_64-linux-gnu/libclang.so"
is "misses the headers of a libclang that came alone" no "$(headers)"
has_file usr/lib/llvm-15/lib/clang/15.0.7/include/stddef.h
has_file usr/lib/clang/15/include/stddef.h
is "does not take the headers of another version" no "$(headers)"
has_file usr/lib/llvm-14/lib/clang/14.0.6/include/limits.h
is "does not take a directory without stddef.h for the headers" no "$(headers)"
has_file usr/lib/llvm-14/lib/clang/14.0.6/include/stddef.h
is "finds the headers of its version" yes "$(headers)"

for dir in usr/lib/clang/18 usr/lib64/clang/18 usr/include/clang/18.1.8; do
    machine
    has_library usr/lib64/libclang.so.18.1.8
    has_file "$dir/include/stddef.h"
    is "finds the headers in $dir" yes "$(headers)"
done

machine
has_library usr/lib/libclang-14.so.1
has_program clang-14
is "needs no headers where a clang brings them" yes "$(headers)"
rm "$root/bin/clang-14"
has_program clang-format-14
is "does not take clang-format for clang" no "$(headers)"
BINDGEN_EXTRA_CLANG_ARGS=-I/somewhere
is "needs no headers where BINDGEN_EXTRA_CLANG_ARGS names some" yes "$(headers)"
unset BINDGEN_EXTRA_CLANG_ARGS

# --- what is missing, and its packages ---

everything='rust certificates compiler libclang server redis postgres programs python valkey'

complete_machine
as_user
# shellcheck disable=SC2086 # a list
is "wants nothing on a complete machine" ready "$(ready_says $everything)"

# wants NAME PACKAGES: what a user is told to install.
wants() {
    as_user
    has_apt
    # shellcheck disable=SC2086 # a list
    said=$(ready_says $everything)
    has "$1" "These are missing:" "$said"
    has "$1" "    sudo apt-get install $2
ended" "$said"
    [ ! -e "$root/apt.log" ] || fails "$1" "apt-get was run without root"
}

complete_machine
rm "$root/usr/lib/llvm-14/lib/libclang.so"
has_library usr/lib/llvm-14/lib/libclang-cpp.so.14
wants "wants libclang-dev where only libclang-cpp is there" libclang-dev

complete_machine
rm "$root/usr/lib/clang/14/include/stddef.h"
wants "wants libclang-dev where its headers are missing" libclang-dev

complete_machine
rm "$root/bin/cc"
wants "wants a compiler and the headers of the C library" "gcc libc6-dev"

complete_machine
has_program cc 'echo "stdio.h: No such file or directory" >&2; exit 1'
wants "wants the headers of the C library where the compiler is alone" "gcc libc6-dev"

complete_machine
rm "$root/bin/redis-server"
wants "wants redis-server, once" redis-server

complete_machine
rm "$root/etc/ssl/certs/ca-certificates.crt"
wants "wants the certificates without which no crate is downloaded" ca-certificates

complete_machine
rm "$root/bin/python3" "$root/bin/openssl" "$root/bin/kill"
wants "wants all at once, and a kill that is a program" "openssl procps python3-venv"

complete_machine
has_program python3 'exit 1'
wants "wants python3-venv where python3 came without it" python3-venv

complete_machine
rm "$root/usr/lib/postgresql/15/bin/initdb"
wants "does not take the client of PostgreSQL for its server" postgresql

complete_machine
as_root
has_apt "mkdir -p '$root/usr/lib/llvm-14/lib'; echo >'$root/usr/lib/llvm-14/lib/libclang-14.so.1'"
rm "$root/usr/lib/llvm-14/lib/libclang.so"
said=$(ready_says libclang)
has "installs as root" "installing libclang-dev" "$said"
has "renews the lists first" "update -q" "$(head -n 1 "$root/apt.log")"
has "installs what is missing, and no recommendations" "install -y -q --no-install-recommends libclang-dev" \
    "$(tail -n 1 "$root/apt.log")"
has "ends where the packages did not help" "Still missing, although the packages are installed" "$said"

complete_machine
as_root
mv "$root/usr/lib/llvm-14/lib/libclang.so" "$root/tmp/"
has_apt "mv '$root/tmp/libclang.so' '$root/usr/lib/llvm-14/lib/'; '$root/usr/sbin/policy-rc.d'; echo \$? >'$root/policy'"
said=$(ready_says libclang)
is "is ready once the package is there" "installing libclang-dev
ready" "$said"
is "lets no package start its service" 101 "$(cat "$root/policy")"
[ ! -e "$root/usr/sbin/policy-rc.d" ] || fails "removes its policy" "it is still there"

complete_machine
as_root
has_apt "echo 'E: Unable to locate package'; exit 100"
rm "$root/bin/openssl"
said=$(ready_says programs)
has "shows what apt-get said" "E: Unable to locate package" "$said"
has "ends with what to do where apt-get failed" "apt-get install openssl
ended" "$said"

complete_machine
as_user
rm "$root/bin/openssl"
said=$(ready_says programs)
has "names the packages where there is no apt-get" "openssl         the program openssl" "$said"

# --- Rust, servers ---

complete_machine
rm "$root/bin/rustc"
has "does not take cargo alone for Rust" "https://rustup.rs" "$(ready_says rust)"

complete_machine
for version in 1.85.0 1.9.0 0.99.0; do
    has_program rustc "echo 'rustc $version (made up)'"
    has "says that Rust $version is too old" "rustup update stable" "$(ready_says rust)"
done
for version in 1.94.0 1.100.0 2.0.0; do
    has_program rustc "echo 'rustc $version (made up)'"
    is "takes Rust $version" ready "$(ready_says rust)"
done
has_program rustc 'echo "error: rustup could not choose a version" >&2; exit 1'
has "says what rustup says where it has no toolchain" "rustup could not choose a version" "$(ready_says rust)"

complete_machine
has_program redis-server 'echo "Redis server v=6.0.16 sha=00000000:0"'
has_program valkey-server 'echo "Valkey server v=8.1.1 sha=00000000:1"'
need_server
is "does not take a server that is too old for the module" "$root/bin/valkey-server" "$server"
has "says that the tests need a newer one" "redis-server is Redis 6.0.16" "$(ready_says redis)"
rm "$root/bin/valkey-server"
need_server
is "takes the Valkey of .tools then" "$valkey" "$server"

complete_machine
CACHEOPS_SERVER=$root/bin/nothing
has "replaces no server that was asked for" "which is no program" "$(ready_says server)"
CACHEOPS_SERVER=$root/bin/python3
has "takes no other program for a server" "Redis 7.0 or Valkey 8.0 or later is needed" "$(ready_says server)"
CACHEOPS_SERVER=$root/bin/valkey-server
has_program valkey-server 'echo "Valkey server v=8.1.1 sha=00000000:1"'
need_redis
is "takes the server that was asked for" "$root/bin/valkey-server" "$server"
unset CACHEOPS_SERVER

# --- what a failed build says ---

# advises NAME PART LINE: what is said where cargo has printed LINE.
advises() {
    printf '%s\n' "   Compiling libc v0.2.180" "$3" >"$scratch/log"
    has "$1" "$2" "$(explain "$scratch/log")"
}

advises "explains a network that is not there" "crates.io" \
    "  [6] Could not resolve hostname (Could not resolve host: index.crates.io)"
advises "explains a registry that is not reached" "crates.io" \
    'error: failed to get `serde` as a dependency of package `cacheops v0.1.0`'
advises "explains a libclang that is not found" "apt: libclang-dev" \
    'Unable to find libclang: "couldn'\''t find any valid shared libraries matching: ['\''libclang.so'\'']"'
advises "explains headers that libclang does not find" "headers of C" \
    "/usr/include/stdio.h:33:10: fatal error: 'stddef.h' file not found"
advises "explains headers that the compiler does not find" "apt: gcc libc6-dev" \
    "redismodule.h:6:10: fatal error: stdio.h: No such file or directory"
advises "explains a linker that is not there" "apt: gcc libc6-dev" 'error: linker `cc` not found'
advises "explains a full disk" "no space left" "error: No space left on device (os error 28)"
advises "explains a compiler that was killed" "CARGO_BUILD_JOBS=1" "process didn't exit successfully: rustc (signal: 9, SIGKILL: kill)"
advises "explains a cargo that is too old" "rustup update" "error: rustc 1.85.0 is not supported by the following packages:"
advises "says so where it knows nothing better" "please report it" "error[E0425]: cannot find value"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
