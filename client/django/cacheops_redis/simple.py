"""The simple cache, `cacheops.cache` and `@cached`: values for a time, kept as entries of the module.

As plain strings they could be found again only by KEYS or by emptying the database, keys of others included. As entries
`invalidate_all()` drops them with all the rest, in one command, and no other key. They depend on a table that no model
has. While a site moves, the Lua scripts' plain strings serve as before.
"""

from __future__ import annotations

import datetime
import logging
import threading
from typing import Any

import redis
from cacheops import simple
from cacheops.conf import settings

from . import server
from .conf import options
from .failure import degrades

logger = logging.getLogger("cacheops_redis")

TABLE = b"cacheops.cache"
MAX_TOKENS = 100  # of look-ups in a thread that missed and have stored nothing yet

_plain_get = simple.RedisCache._get
_plain_set = simple.RedisCache._set
_plain_delete = simple.RedisCache._delete


class _Thread(threading.local):
    def __init__(self) -> None:
        self.tokens: dict[str, int] = {}


_thread = _Thread()


def install() -> None:
    simple.RedisCache._get = get
    simple.RedisCache._set = store
    simple.RedisCache._delete = delete


def get(self: simple.RedisCache, cache_key: str) -> Any:
    if not _is_ours(self):
        return _plain_get(self, cache_key)
    data = _look_up(str(cache_key))
    if data is None:
        raise simple.CacheMiss
    return settings.CACHEOPS_SERIALIZER.loads(data)


def store(self: simple.RedisCache, cache_key: str, data: Any, timeout: Any = None) -> None:
    if not _is_ours(self):
        return _plain_set(self, cache_key, data, timeout)
    # What cannot be serialized is an error here, as with cacheops: who sets a value wants to find it.
    return _store(str(cache_key), settings.CACHEOPS_SERIALIZER.dumps(data), timeout)


def delete(self: simple.RedisCache, cache_key: str) -> None:
    if not _is_ours(self):
        _plain_delete(self, cache_key)
    if _is_of_the_server(self):
        _delete(self, str(cache_key))


def _is_of_the_server(cache: simple.RedisCache) -> bool:
    """Another server, which an application has named for a cache of its own, may not have the module."""
    return cache.conn is simple.redis_client


def _is_ours(cache: simple.RedisCache) -> bool:
    return _is_of_the_server(cache) and options().MOVING != "lua"


def _key(cache_key: str) -> str:
    return f"{options().KEY_PREFIX}s:{cache_key}"


@degrades
def _look_up(cache_key: str) -> bytes | None:
    try:
        reply = server.get(_key(cache_key), "TOKEN")
    except redis.ResponseError as error:
        if not str(error).startswith("WRONGTYPE"):
            raise
        return None
    if not isinstance(reply, int):
        return reply
    while len(_thread.tokens) >= MAX_TOKENS:
        del _thread.tokens[next(iter(_thread.tokens))]
    _thread.tokens[cache_key] = reply
    return None


@degrades
def _store(cache_key: str, data: bytes, timeout: Any) -> None:
    """With the token of the look-up, if there was one: a value from before an `invalidate_all()` is not kept."""
    token = _thread.tokens.pop(cache_key, None)
    arguments: list[Any] = [_key(cache_key), data]
    if timeout is not None:
        seconds = timeout.total_seconds() if isinstance(timeout, datetime.timedelta) else timeout
        arguments += ["PX", int(seconds * 1000)]
    if token is not None:
        arguments += ["TOKEN", token]
    try:
        server.execute("CACHEOPS.STORE", *arguments, "ON", TABLE, b"*")
    except redis.ResponseError as error:
        if "PX" in str(error):
            raise
        logger.warning("the server did not store %r of the simple cache: %s", cache_key, error)


@degrades
def _delete(cache: simple.RedisCache, cache_key: str) -> None:
    """While a site moves, other processes serve the plain string."""
    keys = [_key(cache_key), cache_key] if options().MOVING else [_key(cache_key)]
    _thread.tokens.pop(cache_key, None)
    cache.conn.delete(*keys)
