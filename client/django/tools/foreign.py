#!/usr/bin/env python3
"""Runs modules of Django's own test suite with everything cached: `make test-foreign`.

The source distribution on PyPI holds the tests. Each answer of the cache is compared with the database, and after each
write all reads of a test are made again and compared (client/django/foreign/checks.py). What is known to fail, and why,
stands in client/django/foreign/known.py; anything else is a failure, a difference in any case.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from environment import HERE, TARGET, NoPython, clean_environment, python_of
from servers import RedisServer

sys.path.insert(0, str(HERE / "foreign"))
from known import BLIND_MODULES, KNOWN, MODULES

FAILED = re.compile(r"^(?:FAIL|ERROR|UNEXPECTED SUCCESS): (\S+) \((\S+?)\)", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--django", nargs="+", default=["5.2"], help="versions (default: 5.2)")
    parser.add_argument("modules", nargs="*", help="modules, or tests, of Django's suite (default: those of known.py)")
    chosen = parser.parse_args()
    return max([run(version, chosen.modules) for version in chosen.django])


def run(version: str, modules: list[str]) -> int:
    try:
        python = python_of(version)
    except NoPython as error:
        print(f"LEFT OUT: {error}")
        return 0
    tests = source(python) / "tests"
    labels = modules or [name for name in MODULES if (tests / name).is_dir()]
    started = time.monotonic()
    _output, lines = run_suite(python, tests, BLIND_MODULES, CACHEOPS_FOREIGN_BLIND="1")
    if not any("test" in line for line in lines):
        print(
            f"Django {version}: the checks find no difference where no UPDATE is seen, so they would find none at all"
        )
        return 1

    output, lines = run_suite(python, tests, labels)
    counts = next((line for line in lines if "misses" in line), {})
    differences = [line for line in lines if "test" in line]
    wrong = [line for line in differences if reason(line["test"], "differences", version) is None]
    for line in wrong:
        print(f"DIFFERENT: {line['test']}, {line['what']}: {line['read']}")
        print(f"  cache    {line['cache']}\n  database {line['database']}")
    failed = [test if name in test else f"{test}.{name}" for name, test in FAILED.findall(output)]
    unknown = [test for test in failed if reason(test, "failures", version) is None]
    if unknown or not re.search(r"^Ran \d+ tests", output, re.MULTILINE):
        print(output)
    known = sorted({*failed, *(line["test"] for line in differences)} - {*unknown, *(line["test"] for line in wrong)})
    for test in known:
        print(f"  known: {test}: {reason(test, 'failures', version) or reason(test, 'differences', version)}")
    for test in unknown:
        print(f"FAILED: {test}")
    ran = re.search(r"^Ran (\d+) tests", output, re.MULTILINE)
    print(
        f"Django {version}, {len(labels)} modules: {ran[1] if ran else 'no'} tests, {len(known)} known, "
        f"{len(unknown)} failed; {counts.get('misses', 0)} misses, {counts.get('hits', 0)} hits and "
        f"{counts.get('replays', 0)} reads made again, of which {len(wrong)} differed "
        f"({time.monotonic() - started:.0f} s)",
        flush=True,
    )
    return 1 if wrong or unknown or not ran or not counts.get("hits") else 0


def run_suite(python: Path, tests: Path, labels: list[str], **environment: str) -> tuple[str, list[dict]]:
    """What the suite prints, and the lines of its checks."""
    with RedisServer() as server, tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report")
        report.touch()
        environment |= {"CACHEOPS_TEST_PORT": str(server.port), "CACHEOPS_FOREIGN_REPORT": str(report)}
        done = subprocess.run(
            [python, "-W", "ignore", HERE / "foreign/driver.py", *labels],
            cwd=tests, env=clean_environment(**environment), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return done.stdout, [json.loads(line) for line in report.read_text().splitlines()]


def reason(test: str, kind: str, version: str) -> str | None:
    for (name, of, versions), why in KNOWN.items():
        if of == kind and (test == name or test.startswith(name + ".")) and (not versions or version in versions):
            return why
    return None


def source(python: Path) -> Path:
    """The unpacked source distribution of the Django that is installed."""
    ask = [python, "-c", "import django; print(django.__version__)"]
    version = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    directory = TARGET / "foreign"
    found = directory / f"django-{version}"
    if not found.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        download = ["-m", "pip", "download", "-q", "--no-deps", "--no-binary", "django", "-d", directory]
        subprocess.run([python, *download, f"django=={version}"], check=True, stdin=subprocess.DEVNULL)
        with tarfile.open(directory / f"django-{version}.tar.gz") as packed:
            packed.extractall(directory, filter="data")
    return found


if __name__ == "__main__":
    sys.exit(main())
