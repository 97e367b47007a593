"""Reading and filling: what takes the place of `getting` and `cache_thing` of `cacheops.getset`.

A miss brings a token along, without another round trip, and the fill shows it: it is refused if what it depends on was
invalidated in between. Between the two lies the query, as code that this package never sees, so the token waits in
a stack of the thread's open look-ups.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis
from cacheops import getset
from cacheops.conf import settings
from cacheops.redis import redis_client
from cacheops.transaction import transaction_states

from . import server, snapshots, wire
from .conf import options
from .failure import degrades
from .outbox import deliver, outbox

logger = logging.getLogger("cacheops_redis")

_upstream_cache_thing = getset.cache_thing
_upstream_getting = getset.getting

MAX_WAIT_SECONDS = 10.0  # of one GET .. WAIT; waiting longer asks again


class LookUp:
    """One look-up that is under way in this thread."""

    __slots__ = ("key", "owns_lock", "token")

    def __init__(self, key: str):
        self.key = key
        self.token: int | None = None
        self.owns_lock = False


class _Open(threading.local):
    def __init__(self) -> None:
        self.look_ups: list[LookUp] = []


_open = _Open()


def entry_key(prefix: str, key: str) -> str:
    """The key of an entry: the mark of this package stands between the application's prefix and cacheops' own name."""
    mark = options().KEY_PREFIX
    rest = key[len(prefix) :] if key.startswith(prefix) else key
    return key if rest.startswith(mark) else f"{prefix}{mark}{rest}"


@contextmanager
def getting(key: str, cond_dnfs: Mapping, prefix: str, lock: bool = False) -> Iterator[bytes | None]:
    if options().MOVING == "lua":
        with _upstream_getting(_lua_key(prefix, key), dict(cond_dnfs), prefix, lock=lock) as data:
            yield data
        return

    look_up = LookUp(entry_key(prefix, key))
    data = _read(look_up, lock)
    if data is not None:
        yield data
        return
    len(cond_dnfs)  # found out before the query runs
    _open.look_ups.append(look_up)
    try:
        yield None
    finally:
        _open.look_ups.remove(look_up)
        if look_up.owns_lock:
            _release(look_up)


@degrades
def cache_thing(
    prefix: str,
    cache_key: str,
    data: Any,
    cond_dnfs: Mapping,
    timeout: float,
    dbs: Any = (),
    precall_key: str = "",
    expected_checksum: str = "",
) -> str | None:
    """Stores the result of an open look-up; without one there is no token, and nothing is stored."""
    if options().MOVING == "lua":
        return _upstream_cache_thing(
            prefix, _lua_key(prefix, cache_key), data, dict(cond_dnfs), timeout, dbs, precall_key, expected_checksum
        )
    if transaction_states.is_dirty(dbs):
        return None
    look_up = _look_up(entry_key(prefix, cache_key))
    # cached_as(keep_fresh=True) announces its look-up with a call of its own. The token does what that was for.
    if look_up is None or expected_checksum == "never match" or timeout <= 0:
        return ""
    token = snapshots.fill_token(look_up.token, dbs)
    if token is None:
        return None
    pickled = _serialized(look_up.key, data)
    if pickled is None:
        return None
    version = _store(look_up.key, pickled, timeout, token, prefix, cond_dnfs)
    if version is not None:
        snapshots.stored(version)
    if version is not None and token == look_up.token:
        look_up.owns_lock = False  # the store has given it up, and served those who wait
    return None


def _serialized(key: str, data: Any) -> bytes | None:
    """A result that has no bytes is none the worse for the caller."""
    try:
        return settings.CACHEOPS_SERIALIZER.dumps(data)
    except Exception as error:
        logger.warning("the result of %r cannot be serialized and is not cached: %s", key, error)
        return None


@degrades
def _read(look_up: LookUp, lock: bool) -> bytes | None:
    """The value, or None and the token in `look_up`."""
    if outbox:
        deliver()
    acceptable = snapshots.acceptable()
    if acceptable is not None and acceptable.none:
        look_up.token = acceptable.token
        return None
    asked = () if acceptable is None else ("IFNOT", 0)
    try:
        reply = _get_or_lock(look_up, asked) if lock else server.get(look_up.key, *asked, "TOKEN")
    except redis.ResponseError as error:
        if not str(error).startswith("WRONGTYPE"):
            raise
        logger.warning("key %r holds something else than an entry, its query is not cached", look_up.key)
        return None
    if isinstance(reply, int):
        look_up.token = reply
        look_up.owns_lock = lock
        snapshots.missed(reply)
        return None
    if acceptable is not None and reply is not None:
        version, reply = reply
        if not acceptable.is_met_by(version):
            look_up.token = acceptable.token
            return None
    return reply


def _get_or_lock(look_up: LookUp, asked: tuple) -> Any:
    lock_ms = int(getset.LOCK_TIMEOUT * 1000)
    deadline = time.monotonic() + getset.LOCK_TIMEOUT
    while True:
        wait = min(_longest_wait(), deadline - time.monotonic())
        if wait <= 0:
            return None
        reply = server.get(look_up.key, *asked, "TOKEN", "LOCK", lock_ms, "WAIT", max(1, int(wait * 1000)))
        if reply is not None:
            return reply


def _longest_wait() -> float:
    """A wait must end before the client takes the server for dead."""
    pool = getattr(redis_client, "connection_pool", None)
    limit = pool and pool.connection_kwargs.get("socket_timeout")
    return min(MAX_WAIT_SECONDS, limit / 2) if limit else MAX_WAIT_SECONDS


def _store(key: str, data: bytes, timeout: float, token: int, prefix: str, cond_dnfs: Mapping) -> int | None:
    """A store that the server refuses, for its size or for want of memory, is no failure of the application."""
    try:
        return server.store(key, data, timeout, token, wire.conditions(prefix, cond_dnfs))
    except redis.ResponseError as error:
        logger.warning("the server did not store %r: %s", key, error)
        return None


@degrades
def _release(look_up: LookUp) -> None:
    try:
        server.release(look_up.key, look_up.token)
    except redis.ResponseError as error:
        logger.warning("the server did not release the lock of %r: %s", look_up.key, error)


def _look_up(key: str) -> LookUp | None:
    return next((look_up for look_up in reversed(_open.look_ups) if look_up.key == key), None)


def _lua_key(prefix: str, key: str) -> str:
    mark = prefix + options().KEY_PREFIX
    return prefix + key[len(mark) :] if key.startswith(mark) else key
