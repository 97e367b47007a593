# Sourced by run.sh and serve.sh, in the root of the project: sees that a server, a C compiler and libclang are
# there, installs what is missing where it may, and sets $server. CACHEOPS_SERVER names another server.
# shellcheck shell=sh

find_server() {
    for candidate in "${CACHEOPS_SERVER:-}" redis-server valkey-server .tools/valkey/valkey-server; do
        server=$(command -v "${candidate:-/nowhere}") && return
        # A server that was asked for is not replaced by another.
        [ -z "$candidate" ] || [ "$candidate" != "${CACHEOPS_SERVER:-}" ] || break
    done
    server=
    return 1
}

if ! command -v cargo >/dev/null; then
    echo "There is no cargo. Install Rust 1.94 or later: https://rustup.rs" >&2
    exit 1
fi

packages=
if ! find_server; then
    if [ -n "${CACHEOPS_SERVER:-}" ]; then
        echo "CACHEOPS_SERVER is $CACHEOPS_SERVER, which is no program" >&2
        exit 1
    fi
    packages="$packages redis-server"
fi
command -v cc >/dev/null || packages="$packages build-essential"
# The bindings of the module are generated: that takes libclang and its headers.
[ -n "${LIBCLANG_PATH:-}" ] ||
    [ -n "$(find /usr/lib /usr/lib64 /usr/local/lib /opt/homebrew/opt/llvm/lib -name 'libclang*.so*' -print -quit 2>/dev/null)" ] ||
    packages="$packages libclang-dev"

if [ -n "$packages" ]; then
    sudo=
    if [ "$(id -u)" != 0 ]; then
        sudo='sudo -n'
    fi
    if ! command -v apt-get >/dev/null || ! $sudo true 2>/dev/null; then
        echo "Please install these first, then run this again:$packages" >&2
        echo "  on Debian and Ubuntu:  sudo apt-get install$packages" >&2
        exit 1
    fi
    echo "installing$packages"
    # RUNLEVEL=1 keeps the package from starting a server of its own.
    # shellcheck disable=SC2086 # a list of packages
    { $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $packages; } >&2
    find_server || { echo "redis-server was installed, but is not on the PATH" >&2; exit 1; }
fi
