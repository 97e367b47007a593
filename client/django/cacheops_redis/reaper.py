"""What takes the place of `reap_conjs`. Nothing needs it: the module forgets an entry when the entry goes."""

from __future__ import annotations

import logging

from cacheops.redis import redis_client
from django.db import DEFAULT_DB_ALIAS

from . import server

logger = logging.getLogger("cacheops_redis")

MAX_ROUNDS = 100_000


def reap_conjs(
    chunk_size: int = 1000,
    min_conj_set_size: int = 1000,
    using: str = DEFAULT_DB_ALIAS,
    dry_run: bool = False,
) -> tuple[int, int]:
    """Has the server reclaim what is dead and compare its index with its keys, a slice of time after the other.

    Answers how many dependents were looked at and how many freed. `dry_run` only logs the size of the index.
    """
    index = redis_client.info("cacheops")
    links, dead = index.get("cacheops_links", 0), index.get("cacheops_dead", 0)
    logger.info("The index has %s links, %s entries are dead and not yet reclaimed", links, dead)
    if dry_run:
        return 0, 0
    examined = freed = 0
    for _round in range(MAX_ROUNDS):
        looked_at, given_back = server.execute("CACHEOPS.REAP", chunk_size, min_conj_set_size)
        examined += looked_at
        freed += given_back
        if looked_at == 0 or examined >= links + dead + index.get("cacheops_conjunctions", 0):
            break
    logger.info("Looked at %s dependents, freed %s", examined, freed)
    return examined, freed
