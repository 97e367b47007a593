"""Readers and writers on a few rows: `checker.py seconds [plain]`. Prints JSON.

A writer counts a row's number up, saves, and then tells all readers which number is acknowledged. A reader notes that,
reads through the cache, and if the answer is a hit with a smaller number, it was stale. Half of the readers, unless all
are plain, read in a transaction that has seen other rows before. In the last fifth of the time the writers rest.
"""

import json
import multiprocessing
import os
import random
import sys
import time

os.environ["DJANGO_SETTINGS_MODULE"] = "checker_settings"

ROWS = 20
READERS = 8
WRITERS = 2


def connect():
    import django

    django.setup()


def write(index, acknowledged, barrier, seconds, counts):
    connect()
    from shop.models import Article

    generator = random.Random(index)
    writes = 0
    Article.objects.nocache().first()
    barrier.wait()
    stop_at = time.monotonic() + seconds * 0.8
    while time.monotonic() < stop_at:
        row = generator.randrange(index, ROWS, WRITERS)
        article = Article.objects.nocache().get(pk=row + 1)
        article.number += 1
        article.save()
        acknowledged[row] = article.number
        writes += 1
        time.sleep(generator.random() * 0.01)
    counts.put({"writes": writes})


def read(index, acknowledged, barrier, seconds, counts):
    connect()
    from cacheops.signals import cache_read
    from django.db import connection, transaction
    from shop.models import Article, Category

    hit = False

    def note(signal, sender, **kwargs):
        nonlocal hit
        hit = kwargs["hit"]

    cache_read.connect(note)
    generator = random.Random(100 + index)
    reads = hits = stale = 0

    def look(row):
        nonlocal reads, hits, stale
        known = acknowledged[row]
        (article,) = Article.objects.filter(pk=row + 1).cache()
        reads += 1
        hits += hit
        stale += hit and article.number < known

    Article.objects.nocache().first()
    barrier.wait()
    stop_at = time.monotonic() + seconds
    while time.monotonic() < stop_at:
        if index % 2 and "plain" not in sys.argv:
            with transaction.atomic():
                if connection.vendor == "postgresql":
                    connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                Category.objects.nocache().count()
                for _ in range(5):
                    look(generator.randrange(ROWS))
        else:
            look(generator.randrange(ROWS))
    counts.put({"reads": reads, "hits": hits, "stale": stale})


def main():
    connect()
    from django.core.management import call_command
    from django.db import connection, connections
    from shop.models import Article

    call_command("migrate", run_syncdb=True, verbosity=0)
    if connection.vendor == "sqlite":
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    Article.objects.all().delete()
    Article.objects.bulk_create([Article(pk=row + 1, number=0) for row in range(ROWS)])
    connections.close_all()

    seconds = float(sys.argv[1])
    spawn = multiprocessing.get_context("spawn")
    acknowledged = spawn.Array("q", ROWS, lock=False)
    counts = spawn.Queue()
    barrier = spawn.Barrier(READERS + WRITERS)
    processes = [
        spawn.Process(target=target, args=(index, acknowledged, barrier, seconds, counts), daemon=True)
        for target, number in ((write, WRITERS), (read, READERS))
        for index in range(number)
    ]
    for process in processes:
        process.start()
    total = {"reads": 0, "hits": 0, "stale": 0, "writes": 0}
    for _ in processes:
        for name, count in counts.get(timeout=seconds + 300).items():
            total[name] += count
    for process in processes:
        process.join()
    print(json.dumps(total))


if __name__ == "__main__":
    main()
