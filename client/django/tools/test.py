#!/usr/bin/env python3
"""Runs django-cacheops' own tests and ours against a server with the module: `make test-django`.

Upstream's tests run in the three modes of its tox.ini, on each database. Ours run with the bridge and, where a test
shows what goes wrong without it, also without.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import subprocess
import sys
import time

from environment import HERE, NoPython, clean_environment, python_of, upstream_source
from servers import Postgres, RedisServer

MODES = {"plain": {}, "prefix": {"CACHEOPS_PREFIX": "1"}, "insideout": {"CACHEOPS_INSIDEOUT": "1"}}

# name -> reason. Only what asserts the private keys of the Lua scripts, or expects the wrong thing, may stand here.
LEFT_OUT = {
    "tests/test_low_level.py::test_ttl": "asserts the time to live of conj:auth_user:id=..., a key of the Lua scripts",
    "tests/tests.py::IssueTests::test_385": "expects a read to fail because its result cannot be pickled, though the "
    "database has answered; with the bridge the caller gets the rows, and a warning says that they are not cached",
}

# Of one version of Django.
LEFT_OUT_ON = {
    "6.1": {
        "tests/tests.py::BasicTests::test_subquery": "compares with a Subquery of all columns, which Django 6.1 refuses"
    }
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--django", nargs="+", default=["4.2", "5.2", "6.1"], help="versions (default: 4.2 5.2 6.1)")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--postgresql-modes", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--skip-upstream", action="store_true")
    parser.add_argument("--skip-own", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer random writes, and without the bridge once only")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    print("left out of django-cacheops' tests:")
    for name, reason in LEFT_OUT.items():
        print(f"  {name}: {reason}")
    for version, tests in LEFT_OUT_ON.items():
        for name, reason in tests.items():
            print(f"  {name}, on Django {version}: {reason}")
    failed = []
    with contextlib.ExitStack() as running:
        postgres = running.enter_context(Postgres()) if "postgresql" in chosen.databases else None
        for django in chosen.django:
            try:
                python = python_of(django)
            except NoPython as error:
                print(f"LEFT OUT: Django {django}: {error}", flush=True)
                continue
            if not chosen.skip_upstream:
                server = running.enter_context(RedisServer("--databases", "16"))
                for database in chosen.databases:
                    modes = MODES if database == "sqlite" else chosen.postgresql_modes
                    for mode in modes:
                        name = f"django-cacheops 7.2, Django {django}, {database}, {mode}"
                        if not run_upstream(name, python, django, server, database, mode, postgres):
                            failed.append(name)
            if not chosen.skip_own:
                for database in chosen.databases:
                    for bridge in ("with", "without"):
                        if chosen.quick and bridge == "without" and database != chosen.databases[0]:
                            continue
                        name = f"bridge's own, Django {django}, {database}, {bridge} the bridge"
                        if not run_own(name, python, database, bridge == "with", postgres, chosen.quick):
                            failed.append(name)
    for name in failed:
        print(f"FAILED: {name}")
    return 1 if failed else 0


def run_upstream(name, python, django, server, database, mode, postgres) -> bool:
    environment = clean_environment(
        CACHEOPS_TEST_PORT=str(server.port), PYTHONPATH=str(HERE / "upstream"), **MODES[mode]
    )
    if database == "postgresql":
        environment |= {"CACHEOPS_DB": "postgresql", "CACHEOPS_TEST_PG_PORT": str(postgres.port)}
    tests = [*LEFT_OUT, *LEFT_OUT_ON.get(django, ())]
    left_out = [part for test in tests for part in ("--deselect", test)]
    command = ["-p", "upstream_plugin", "--ds=upstream_settings", *left_out]
    return run_pytest(name, python, command, environment, upstream_source(python))


def run_own(name, python, database, bridge, postgres, quick) -> bool:
    environment = clean_environment(CACHEOPS_BRIDGE="1" if bridge else "0")
    if database == "postgresql":
        environment["CACHEOPS_TEST_PG_PORT"] = str(postgres.port)
    if quick:
        environment |= {"CACHEOPS_RANDOM_SEEDS": "1", "CACHEOPS_RANDOM_WRITES": "100"}
    return run_pytest(name, python, [] if bridge else ["-m", "cures"], environment, HERE / "tests")


def run_pytest(name, python, arguments, environment, directory) -> bool:
    started = time.monotonic()
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning"]
    done = subprocess.run(
        [*command, *arguments], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    summary = re.sub(r"^=+ | =+$", "", (done.stdout.strip().splitlines() or ["no output"])[-1])
    print(f"{name}: {summary} ({time.monotonic() - started:.0f} s)", flush=True)
    if done.returncode != 0:
        print(done.stdout)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
