"""Compares every answer of the cache with the database, while Django's own tests run.

* Each hit is read from the database, too. So a test that counts statements counts as many as without a cache.
* After a write, before the next read and at the end of a test, all reads of the test are made again, through the cache,
  and compared. Not while a write is under way, nor in a transaction that has written.
* The transaction around a test is none for cacheops: it is rolled back, and no other process looks.
* The cache is emptied before each test, and after a statement of the test's own that writes past the ORM.

What differs is appended to the file that CACHEOPS_FOREIGN_REPORT names, a line of JSON each.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import sys
import unittest
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from cacheops import query as upstream_query
from cacheops.redis import redis_client
from cacheops.signals import cache_read
from cacheops.transaction import is_sql_dirty, transaction_states
from django.db import connections, models
from django.db.backends.utils import CursorWrapper
from django.db.models.deletion import Collector
from django.db.models.query import QuerySet
from django.db.transaction import Atomic

from cacheops_redis import owners

MAX_READS = 100  # of one test, that are made again

counts: Counter = Counter()


class Read(NamedTuple):
    queryset: QuerySet
    operation: str
    args: tuple = ()
    kwargs: dict = {}

    def plain(self) -> Any:
        """What the database answers."""
        if self.operation == "fetch":
            return list(self.queryset._iterable_class(self.queryset))
        return getattr(self.queryset._no_monkey, self.operation)(self.queryset, *self.args, **self.kwargs)

    def cached(self) -> Any:
        """What the application gets."""
        if self.operation == "fetch":
            self.queryset._prefetch_related_lookups = ()
            QuerySet._fetch_all(self.queryset)
            return self.queryset._result_cache
        return getattr(self.queryset, self.operation)(*self.args, **self.kwargs)

    def fresh(self) -> Read:
        return self._replace(queryset=self.queryset._chain())

    def is_ordered(self) -> bool:
        return self.operation != "fetch" or self.queryset.ordered or bool(self.queryset.query.extra_order_by)

    def __str__(self) -> str:
        try:
            rows = f"{self.queryset._iterable_class.__name__} {self.queryset.db} {self.queryset.query}"
        except Exception as error:
            rows = f"{type(self.queryset).__name__} of {self.queryset.model.__name__}: {error!r}"
        return f"{self.operation} {self.args or ''} {self.kwargs or ''} {rows}"


class State:
    """Of the test that is running."""

    test = ""
    reads: dict[str, Read] = {}
    dirty = False  # something was written since the reads were made again
    writing = 0  # how deep in writes of the ORM
    checking = False
    heard: list[bool] = []  # hits and misses, as the signal tells


def install() -> None:
    cache_read.connect(lambda signal, sender, **kwargs: State.heard.append(kwargs["hit"]), weak=False)
    models.signals.m2m_changed.connect(lambda **kwargs: setattr(State, "dirty", True), weak=False)
    _ignore_transactions_of_tests()

    QuerySet._fetch_all = _watched_fetch(QuerySet._fetch_all)
    owners.give = _watched_rows(owners.give)
    for name in ("count", "exists", "aggregate"):
        setattr(QuerySet, name, _watched_value(name, getattr(QuerySet, name)))

    for home, names in (
        (models.Model, ("save_base", "delete")),
        (QuerySet, ("bulk_create", "bulk_update", "update", "delete", "_raw_delete", "_update", "_insert")),
        (Collector, ("delete",)),
    ):
        for name in names:
            setattr(home, name, _write(getattr(home, name)))
    for name in ("execute", "executemany"):
        setattr(CursorWrapper, name, _statement(getattr(CursorWrapper, name)))

    unittest.TestCase.run = _test(unittest.TestCase.run)
    unittest.TestCase._callTestMethod = _test_method(unittest.TestCase._callTestMethod)
    atexit.register(lambda: _report(**counts))


# Reads of a test


def _watched_fetch(fetch_all: Callable) -> Callable:
    @functools.wraps(fetch_all)
    def wrapper(self: QuerySet) -> None:
        if self._result_cache is not None or State.checking:
            return fetch_all(self)
        _make_reads_again()
        return _heard(lambda: fetch_all(self))[0]

    return wrapper


def _watched_rows(give: Callable) -> Callable:
    """The rows of a fetch are there, and no prefetch has added to them yet."""

    @functools.wraps(give)
    def wrapper(queryset: QuerySet, rows: list[Any]) -> None:
        if not State.checking and State.heard:
            with owners.without(queryset):
                _note(Read(queryset, "fetch"), State.heard[0], rows)
            State.heard = []
        give(queryset, rows)

    return wrapper


def _watched_value(name: str, method: Callable) -> Callable:
    @functools.wraps(method)
    def wrapper(self: QuerySet, *args: Any, **kwargs: Any) -> Any:
        if State.checking or (name != "aggregate" and self._result_cache is not None):
            return method(self, *args, **kwargs)
        _make_reads_again()
        value, was_hit = _heard(lambda: method(self, *args, **kwargs))
        if was_hit is not None:
            _note(Read(self, name, args, kwargs), was_hit, value)
        return value

    return wrapper


def _heard(action: Callable) -> tuple[Any, bool | None]:
    """What the action answers, and whether the cache had it."""
    before, State.heard = State.heard, []
    try:
        result = action()
        return result, State.heard[0] if State.heard else None
    finally:
        State.heard = before


def _note(read: Read, was_hit: bool, result: Any) -> None:
    counts["hits" if was_hit else "misses"] += 1
    with _checking():
        if len(State.reads) < MAX_READS:
            again = read.fresh()
            again.queryset._known_related_objects = {}
            State.reads.setdefault(f"{type(read.queryset)} {read}", again)
        if was_hit:
            _compare(read, _snapshot(result), lambda: _snapshot(read.plain()), "a hit")


def _make_reads_again() -> None:
    if not State.dirty or State.writing or State.checking or _is_in_transaction():
        return
    State.dirty = False
    with _checking(), _uncounted():
        for name, read in list(State.reads.items()):
            try:
                right = _snapshot(read.fresh().plain())
            except Exception:
                del State.reads[name]  # the test has taken away what it reads
                continue
            counts["replays"] += 1
            found, was_hit = _heard(read.fresh().cached)
            counts["replays that were hits"] += bool(was_hit)
            _compare(read, _snapshot(found), functools.partial(lambda value: value, right), "a read after a write")


def _compare(read: Read, found: Any, database: Callable, what: str) -> None:
    try:
        right = database()
    except Exception as error:
        right = repr(error)
    if not read.is_ordered() and isinstance(right, list):
        found, right = sorted(found, key=repr), sorted(right, key=repr)
    if found != right:
        counts["differences"] += 1
        line = {"read": str(read), "cache": repr(found)[:2000], "database": repr(right)[:2000]}
        _report(test=State.test, what=what, **line)


def _is_in_transaction() -> bool:
    return any(state.is_dirty() for state in transaction_states._states.values()) or any(
        connection.needs_rollback for connection in connections.all(initialized_only=True)
    )


@contextmanager
def _checking() -> Iterator[None]:
    before, State.checking = State.checking, True
    try:
        yield
    finally:
        State.checking = before


@contextmanager
def _uncounted() -> Iterator[None]:
    """Statements that no test counts or hears of."""
    known = connections.all(initialized_only=True)
    before = [(connection, connection.force_debug_cursor, connection.execute_wrappers) for connection in known]
    for connection in known:
        connection.force_debug_cursor, connection.execute_wrappers = False, []
    try:
        yield
    finally:
        for connection, forced, wrappers in before:
            connection.force_debug_cursor, connection.execute_wrappers = forced, wrappers


def _snapshot(found: Any, depth: int = 0) -> Any:
    """A result as what can be compared: instances with all that was loaded into them."""
    if isinstance(found, models.Model):
        held = {
            name: _snapshot(value, depth + 1)
            for name, value in sorted(found.__dict__.items())
            if name not in ("_state", "_prefetched_objects_cache", "_django_version") and not callable(value)
        }
        loaded = sorted(found._state.fields_cache.items()) if depth < 4 else ()
        related = {name: _snapshot(value, depth + 1) for name, value in loaded}
        return type(found).__module__, type(found).__qualname__, found._state.db, found._state.adding, held, related
    if isinstance(found, dict):
        return {name: _snapshot(value, depth) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_snapshot(value, depth) for value in found]
    if isinstance(found, (memoryview, bytes)):
        return bytes(found)
    if isinstance(found, float) and found != found:
        return "NaN"
    if type(found).__eq__ is object.__eq__:
        return type(found).__qualname__, _snapshot(getattr(found, "__dict__", {}), depth + 1) if depth < 4 else None
    return type(found).__qualname__, found


# Writes of a test


def _write(method: Callable) -> Callable:
    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        State.writing += 1
        try:
            return method(*args, **kwargs)
        finally:
            State.writing -= 1
            State.dirty = True

    return wrapper


def _statement(method: Callable) -> Callable:
    @functools.wraps(method)
    def wrapper(self: CursorWrapper, sql: Any, *args: Any) -> Any:
        try:
            return method(self, sql, *args)
        finally:
            writes = not isinstance(sql, str) or is_sql_dirty(sql)
            if writes and not State.writing and not State.checking and not _is_of_the_orm():
                counts["writes past the ORM"] += 1
                _empty_cache()

    return wrapper


def _is_of_the_orm() -> bool:
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_globals.get("__name__") == "django.db.models.sql.compiler":
            return True
        frame = frame.f_back
    return False


# Tests


def _ignore_transactions_of_tests() -> None:
    def ignoring(name: str) -> Callable:
        seen, plain = getattr(Atomic, name), getattr(Atomic._no_monkey, name)

        @functools.wraps(plain)
        def wrapper(self: Atomic, *args: Any) -> Any:
            return (plain if getattr(self, "_from_testcase", False) else seen)(self, *args)

        return wrapper

    for name in ("__enter__", "__exit__"):
        setattr(Atomic, name, ignoring(name))


def _test(run: Callable) -> Callable:
    @functools.wraps(run)
    def wrapper(self: unittest.TestCase, result: Any = None) -> Any:
        _empty_cache()
        State.test, State.reads, State.dirty, State.writing = self.id(), {}, False, 0
        return run(self, result)

    return wrapper


def _test_method(call: Callable) -> Callable:
    @functools.wraps(call)
    def wrapper(self: unittest.TestCase, method: Callable) -> Any:
        answer = call(self, method)
        _make_reads_again()
        State.reads = {}
        return answer

    return wrapper


def _empty_cache() -> None:
    redis_client.flushdb()
    upstream_query._local_get_cache.clear()


def _report(**line: Any) -> None:
    with open(os.environ["CACHEOPS_FOREIGN_REPORT"], "a") as file:
        file.write(json.dumps(line, default=repr) + "\n")
