#!/bin/sh
# What CI runs of the bridge: formatting, django-cacheops' own tests in all modes on SQLite and in plain mode on
# PostgreSQL, and ours on both. The module must be built.
set -eu
cd "$(dirname "$0")/../../.."
exec </dev/null

# The package brings a cluster and starts it; the tests make one of their own.
if [ -z "$(find /usr/lib/postgresql -name initdb 2>/dev/null)" ] && [ "$(id -u)" = 0 ]; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends postgresql
    service postgresql stop >/dev/null 2>&1 || true
fi

python3 client/django/tools/lint.py
python3 client/django/tools/test.py --django 5.2 --postgresql-modes plain --quick
