"""The commands of the module, and what is said where the server does not have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import redis
from cacheops.redis import redis_client
from django.core.exceptions import ImproperlyConfigured

from .canonical import name

GRAMMAR = 1
NEEDED = {"token", "check", "lock"}
ROWS_PER_COMMAND = 500

_usable = False


def get(key: str, *options: object) -> Any:
    return execute("CACHEOPS.GET", key, *options)


def token() -> int | None:
    return execute("CACHEOPS.TOKEN")


def store(key: str, data: bytes, timeout: float, token: int, conditions: Sequence[bytes]) -> int | None:
    return execute("CACHEOPS.STORE", key, data, "PX", max(1, int(timeout * 1000)), "TOKEN", token, "ON", *conditions)


def release(key: str, token: int) -> int:
    return execute("CACHEOPS.RELEASE", key, token)


def flush() -> int:
    return execute("CACHEOPS.FLUSH")


def invalidate(rows: Iterable[tuple[str, bytes]]) -> None:
    """Sends rows of tables, in one command where they are not very many, in one round trip in any case."""
    rows = list(rows)
    commands = [
        ("CACHEOPS.INVALIDATE", "ON", *row_arguments(rows[start : start + ROWS_PER_COMMAND]))
        for start in range(0, len(rows), ROWS_PER_COMMAND)
    ]
    if len(commands) == 1:
        execute(*commands[0])
    elif commands:
        handshake()
        with redis_client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            try:
                pipeline.execute()
            except redis.ResponseError as error:
                raise _explained(error) from error


def row_arguments(rows: Iterable[tuple[str, bytes]]) -> list[bytes]:
    tables: dict[str, dict[bytes, None]] = {}
    for table, row in rows:
        tables.setdefault(name(table), {})[row] = None
    return [part for table, texts in tables.items() for part in (table.encode(), b"|".join(texts))]


def execute(*command: object) -> Any:
    if not _usable:
        handshake()
    try:
        return redis_client.execute_command(*command)
    except redis.ResponseError as error:
        raise _explained(error) from error


def forget_handshake() -> None:
    global _usable
    _usable = False


def handshake() -> None:
    """Asks once in a process whether the server is one that can be used."""
    global _usable
    if _usable:
        return
    with redis_client.pipeline(transaction=False) as pipeline:
        if isinstance(redis_client, redis.RedisCluster):  # known once it is used
            raise ImproperlyConfigured(_CLUSTER)
        pipeline.execute_command("CACHEOPS.VERSION")
        pipeline.execute_command("ROLE")
        pipeline.execute_command("CLUSTER", "INFO")
        version, role, clustered = pipeline.execute(raise_on_error=False)
    if isinstance(version, redis.ResponseError):
        raise _explained(version) from version
    if isinstance(version, Exception):
        raise version
    told = _as_map(version)
    found = frozenset(_as_text(word) for word in told.get("capabilities", ()))
    if told.get("grammar") != GRAMMAR or not found >= NEEDED:
        raise ImproperlyConfigured(
            f"the cacheops module of the server is version {_as_text(told.get('version', b'?'))} with grammar "
            f"{told.get('grammar')} and without {', '.join(sorted(NEEDED - found)) or 'nothing that is needed'}, but "
            f"cacheops_redis needs grammar {GRAMMAR} and {', '.join(sorted(NEEDED))}: install a libcacheops.so of the "
            "release that this package belongs to"
        )
    if isinstance(role, (list, tuple)) and role and _as_text(role[0]) in ("slave", "replica"):
        raise ImproperlyConfigured(_REPLICA)
    if isinstance(clustered, (bytes, str, dict)):
        raise ImproperlyConfigured(_CLUSTER)  # a server that is no part of a cluster answers with an error
    _usable = True


_MISSING = (
    "the server that CACHEOPS_REDIS (or CACHEOPS_SENTINEL) names does not have the cacheops module: start it with "
    "'loadmodule /path/to/libcacheops.so' in its configuration, or take 'cacheops_redis' out of INSTALLED_APPS to go "
    "back to the Lua scripts"
)
_REPLICA = (
    "the server that CACHEOPS_REDIS names is a read-only replica, and a cache must be able to invalidate: name its "
    "primary, or set CACHEOPS_SENTINEL so that the primary is found"
)
_CLUSTER = (
    "the server that CACHEOPS_REDIS names is part of a cluster, which cacheops_redis does not support: name a single "
    "server, or one that CACHEOPS_SENTINEL watches"
)


def _explained(error: redis.ResponseError) -> Exception:
    text = str(error)
    if "unknown command" in text.lower() and "cacheops." in text.lower():
        forget_handshake()
        return ImproperlyConfigured(_MISSING)
    if isinstance(error, redis.ReadOnlyError):
        forget_handshake()
        return ImproperlyConfigured(_REPLICA)
    if text.startswith("MOVED ") or "in cluster mode SHARD is required" in text:
        forget_handshake()
        return ImproperlyConfigured(_CLUSTER)
    return error


def _as_text(word: Any) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


def _as_map(reply: Any) -> dict[str, Any]:
    if not isinstance(reply, dict):
        reply = dict(zip(reply[::2], reply[1::2]))
    return {_as_text(name): value for name, value in reply.items()}
