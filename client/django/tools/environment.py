"""Virtual environments with a version of Django, and the source distribution of django-cacheops, all under target/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from servers import ROOT

HERE = Path(__file__).resolve().parents[1]
TARGET = ROOT / "target/django"
UPSTREAM = "django-cacheops==7.2"
# What tox.ini of django-cacheops 7.2 names, and psycopg2. With versions: a release of others is no failure of ours.
PACKAGES = [
    UPSTREAM,
    "redis==8.1.0",
    "pytest==8.3.5",
    "pytest-django==4.11.1",
    "before_after==1.0.0",
    "jinja2==3.1.6",
    "dill==0.4.1",
    "psycopg2-binary==2.9.13",
    "ruff==0.17.5",
]


# The first minor version of Python that a Django runs on, where the machine's own may be too old.
NEEDS_PYTHON = {"6.0": 12, "6.1": 12}


class NoPython(Exception):
    """No interpreter is new enough."""


def interpreter_for(django: str) -> str:
    needed = (3, NEEDS_PYTHON.get(django, 9))
    versions = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"), reverse=True)
    names = [f"python3.{minor}" for minor in range(14, needed[1] - 1, -1)]
    for found in [sys.executable, *filter(None, map(shutil.which, names)), *map(str, versions)]:
        ask = subprocess.run(
            [found, "-c", "import ssl, sqlite3, sys, venv; print(*sys.version_info[:2])"],
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if ask.returncode == 0 and tuple(map(int, ask.stdout.split())) >= needed:
            return found
    raise NoPython(f"Django {django} needs Python {needed[0]}.{needed[1]} or later, and there is none")


def python_of(django: str) -> Path:
    """The interpreter of an environment with this Django (`5.2`) and the bridge as it is now."""
    directory = TARGET / f"venv-{django}"
    python = directory / "bin/python"
    stamp = directory / "complete"
    if not stamp.exists():
        _run(interpreter_for(django), "-m", "venv", "--clear", directory)
        _run(python, "-m", "pip", "install", "-q", "--no-binary", "django-cacheops", f"Django~={django}.0", *PACKAGES)
        stamp.touch()
    # pip builds in the directory that it installs from, so it gets a copy.
    source = TARGET / "bridge"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("tests", "__pycache__", "build", "*.egg-info"))
    _run(python, "-m", "pip", "install", "-q", "--force-reinstall", "--no-deps", source)
    return python


def upstream_source(python: Path) -> Path:
    """The directory of the unpacked source distribution."""
    directory = TARGET / "upstream"
    found = list(directory.glob("django_cacheops-*/tests"))
    if not found:
        directory.mkdir(parents=True, exist_ok=True)
        _run(python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", directory, UPSTREAM)
        (archive,) = directory.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(directory, filter="data")
        found = list(directory.glob("django_cacheops-*/tests"))
    return found[0].parent


def clean_environment(**more: str) -> dict[str, str]:
    """The environment for a child, without settings of the caller's shell that these tests have of their own."""
    kept = {
        n: v
        for n, v in os.environ.items()
        if not n.startswith("CACHEOPS_") or n in ("CACHEOPS_MODULE", "CACHEOPS_SERVER")
    }
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **more}


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL)
