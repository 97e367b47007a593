#!/usr/bin/env python3
"""Measures django-cacheops with and without the bridge, on one server, in turns: `make bench-django`.

cases     upstream's own bench.py, taken from its source distribution
fanout    one invalidation with 100,000 dependents, and the worst PING of another client meanwhile
checker   readers and writers in processes: how many hits are older than an acknowledged invalidation
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCH.parent / "tools"))

from environment import HERE, clean_environment, python_of, upstream_source  # noqa: E402
from servers import REDIS, Postgres, RedisServer  # noqa: E402

# What is compared, and with which environment. The Lua scripts first: ratios are to them.
VARIANTS = {
    "Lua scripts": {"CACHEOPS_BRIDGE": "0"},
    "Lua scripts, insideout": {"CACHEOPS_BRIDGE": "0", "CACHEOPS_INSIDEOUT": "1"},
    "module": {"CACHEOPS_BRIDGE": "1"},
}
CASES = "hit|miss|invalidate|save_obj"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["cases", "fanout", "checker"])
    parser.add_argument("--django", default="5.2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dependents", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20, help="of a run of the checker")
    parser.add_argument("--database", default="postgresql", choices=["sqlite", "postgresql"], help="of the checker")
    chosen = parser.parse_args()

    python = python_of(chosen.django)
    describe(python)
    for what in chosen.what:
        {"cases": cases, "fanout": fanout, "checker": checker}[what](python, chosen)


def describe(python: Path) -> None:
    versions = "from importlib.metadata import version; import sys; print(', '.join(f'{name} {version(name)}' for name"
    versions += " in ('Django', 'django-cacheops', 'redis')) + ', Python ' + sys.version.split()[0])"
    print(subprocess.run([python, "-c", versions], capture_output=True, text=True).stdout.strip())
    print(subprocess.run([REDIS, "--version"], capture_output=True, text=True).stdout.strip())
    cores = len([line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("processor")])
    print(
        f"{platform.machine()}, {cores} cores, load {Path('/proc/loadavg').read_text().split()[0]} before the start\n"
    )


def run(python: Path, script: str, server: RedisServer, variant: str, directory: Path | str, *arguments, **more) -> str:
    environment = clean_environment(
        CACHEOPS_TEST_PORT=str(server.port),
        PYTHONPATH=f"{HERE / 'upstream'}:{HERE / 'tests'}:{HERE / 'tools'}:{directory}",
        PYTHONWARNINGS="ignore",
        **VARIANTS[variant],
        **more,
    )
    done = subprocess.run(
        [str(python), str(BENCH / script), *map(str, arguments)], cwd=directory, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"{script} with {variant} failed: {done.stdout}")
    return done.stdout


def cases(python: Path, chosen: argparse.Namespace) -> None:
    times: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as directory, RedisServer() as server:
        copy = Path(directory, "upstream")  # bench.py writes migrations
        shutil.copytree(upstream_source(python), copy)
        for turn in range(chosen.rounds):
            for variant in rotated(turn):
                for name, time in re.findall(
                    r"^(\w+) +time: ([\d.]+)ms", run(python, "upstream_cases.py", server, variant, copy, CASES), re.M
                ):
                    times.setdefault(name, {}).setdefault(variant, []).append(float(time))
    print(f"bench.py of django-cacheops, ms, median of {chosen.rounds} rounds; ratios: least and most of a round")
    print("| case | " + " | ".join(VARIANTS) + " | module / Lua scripts |")
    print("|---" * (len(VARIANTS) + 2) + "|")
    for name, by_variant in times.items():
        ratios = [new / old for old, new in zip(by_variant["Lua scripts"], by_variant["module"])]
        medians = " | ".join(f"{statistics.median(by_variant[variant]):.3f}" for variant in VARIANTS)
        print(f"| {name} | {medians} | {min(ratios):.2f} to {max(ratios):.2f} |")
    print()


def fanout(python: Path, chosen: argparse.Namespace) -> None:
    print(f"one invalidate_obj with {chosen.dependents} dependents; ms, each round")
    print("| | invalidate_obj | worst PING of another client meanwhile | worst PING of the idle server |")
    print("|---|---|---|---|")
    results: dict[str, list[dict[str, float]]] = {}
    for turn in range(chosen.rounds):
        for variant in rotated(turn):
            with RedisServer() as server:
                out = run(python, "fanout.py", server, variant, upstream_source(python), chosen.dependents)
            results.setdefault(variant, []).append(json.loads(out.splitlines()[-1]))
    for variant in VARIANTS:
        cells = [", ".join(f"{r[name]:.2f}" for r in results[variant]) for name in ("invalidate", "ping", "idle")]
        print(f"| {variant} | {' | '.join(cells)} |")
    print()


def checker(python: Path, chosen: argparse.Namespace) -> None:
    print(f"checker on {chosen.database}, {chosen.rounds} runs of {chosen.seconds:.0f} s")
    print("| readers | | reads | hits | stale hits | per million hits | writes |")
    print("|---|---|---|---|---|---|---|")
    totals: dict[tuple[str, str], Counter] = defaultdict(Counter)
    postgres = Postgres() if chosen.database == "postgresql" else None
    try:
        for turn in range(chosen.rounds):
            for readers in ("plain", "half in snapshots"):
                for variant in rotated(turn):
                    more = {"CACHEOPS_TEST_PG_PORT": str(postgres.port)} if postgres else {}
                    with RedisServer() as server, tempfile.TemporaryDirectory() as directory:
                        arguments = [chosen.seconds, *(["plain"] if readers == "plain" else [])]
                        out = run(python, "checker.py", server, variant, directory, *arguments, **more)
                    totals[readers, variant].update(json.loads(out.splitlines()[-1]))
    finally:
        if postgres:
            postgres.stop()
    for (readers, variant), total in totals.items():
        rate = f"{1e6 * total['stale'] / max(1, total['hits']):.0f}"
        print(f"| {readers} | {variant} | " + " | ".join(str(total[n]) for n in ("reads", "hits", "stale")), end=" | ")
        print(f"{rate} | {total['writes']} |")
    print()


def rotated(turn: int) -> list[str]:
    names = list(VARIANTS)
    return names[turn % len(names) :] + names[: turn % len(names)]


if __name__ == "__main__":
    main()
