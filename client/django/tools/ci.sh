#!/bin/sh
# What CI runs of the bridge: formatting, django-cacheops' own tests in all modes on SQLite and in plain mode on
# PostgreSQL, and ours on both. The module must be built, and PostgreSQL installed (make deps). The service beside Django
# is the one that `make test` has built, if it has: built alone, its dependencies have other features and are built again.
set -eu
cd "$(dirname "$0")/../../.."
exec </dev/null

beside=${CARGO_TARGET_DIR:-target}/debug/examples/beside
if [ -x "$beside" ]; then
    BESIDE_PROGRAM=$(realpath "$beside")
    export BESIDE_PROGRAM
fi

python3 client/django/tools/lint.py
python3 client/django/tools/test.py --django 5.2 --postgresql-modes plain --quick
