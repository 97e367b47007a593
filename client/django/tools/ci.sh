#!/bin/sh
# What CI runs of the bridge: formatting, django-cacheops' own tests in all modes on SQLite and in plain mode on
# PostgreSQL, and ours on both. The module must be built, and PostgreSQL installed (make deps).
set -eu
cd "$(dirname "$0")/../../.."
exec </dev/null

python3 client/django/tools/lint.py
python3 client/django/tools/test.py --django 5.2 --postgresql-modes plain --quick
