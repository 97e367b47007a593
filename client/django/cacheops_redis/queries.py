"""What takes the place of the reading methods of `cacheops.query.QuerySetMixin`.

Each finds out what Django would send (compiled.py), looks up the entry of that, and runs Django's own method if there
is none. So whatever Django says to a query, its errors included, it says with the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

from cacheops import getset
from cacheops import query as upstream_query
from cacheops.conf import model_profile, settings
from cacheops.signals import cache_read
from django.db.models import QuerySet
from django.db.models.query import ModelIterable

from . import fills, keys, owners, seen
from .compiled import Statement, compiled, rehearsed
from .conditions import LazyConditions
from .encode import NoKey, encode


def _cond_dnfs(self: QuerySet) -> LazyConditions:
    return LazyConditions(self)


def _cacheprofile(self: QuerySet) -> dict[str, Any] | None:
    """A model outside of the registry is not cached: a pickle of it could not be read, or would be of another model."""
    if not seen.is_registered(self.model):
        return None
    profile = model_profile(self.model)
    return profile and {**profile, "db_agnostic": profile["db_agnostic"] and _says_db_agnostic(self.model)}


def _says_db_agnostic(model: type) -> bool:
    """cacheops takes all databases for one unless told otherwise; the rows of one are no answer for another."""
    if "db_agnostic" in settings.CACHEOPS_DEFAULTS:
        return True
    meta = model._meta
    profiles = {name.lower(): profile for name, profile in settings.CACHEOPS.items()}
    for guess in (meta.label_lower, f"{meta.app_label.lower()}.*", "*.*"):
        if guess in profiles:
            return "db_agnostic" in (profiles[guess] or {})
    return False


def cache_key(self: QuerySet, prefix: bool = True) -> str:
    """The key of what the queryset fetches. Raises `NoKey` where there is none."""
    key = keys.of_rows(self, _statement(self))
    return fills.entry_key(self._prefix, self._prefix + key) if prefix else key


def fetch_all(self: QuerySet) -> None:
    if self._result_cache is not None or not self._should_cache("fetch"):
        return self._no_monkey._fetch_all(self)
    statement = _statement(self)
    if not statement.sql:  # no rows, and Django sends nothing
        cache_read.send(sender=self.model, func=None, hit=False)
        return self._no_monkey._fetch_all(self)
    name = _name(self, lambda: keys.of_rows(self, statement))
    if name is None:
        return self._no_monkey._fetch_all(self)
    with _look_up(self, name, statement) as (data, store):
        if store is not None:
            cache_read.send(sender=self.model, func=None, hit=data is not None)
        if data is not None:
            rows = settings.CACHEOPS_SERIALIZER.loads(data)
            owners.renew(self, rows)
        else:
            with owners.without(self):
                rows = list(self._iterable_class(self))
            if store is not None:
                store(rows)
    owners.give(self, rows)
    self._result_cache = rows
    return self._no_monkey._fetch_all(self)


def count(self: QuerySet) -> int:
    if self._result_cache is not None or not self._should_cache("count"):
        return self._no_monkey.count(self)
    return _value(self, "count", lambda: self._no_monkey.count(self))


def exists(self: QuerySet) -> bool:
    if self._result_cache is not None or not self._should_cache("exists"):
        return self._no_monkey.exists(self)
    return _value(self, "exists", lambda: self._no_monkey.exists(self))


def aggregate(self: QuerySet, *args: Any, **kwargs: Any) -> dict[str, Any]:
    if not self._should_cache("aggregate"):
        return self._no_monkey.aggregate(self, *args, **kwargs)
    return _value(self, "aggregate", lambda: self._no_monkey.aggregate(self, *args, **kwargs))


def get(self: QuerySet, *args: Any, **kwargs: Any) -> Any:
    if not self._should_cache("get"):
        return self._no_monkey.get(self, *args, **kwargs)
    local = self._cacheprofile["local_get"] and not args and _local_key(self, kwargs)
    if not local:
        queryset = self if "fetch" in self._cacheprofile["ops"] else self._clone().cache()
        return queryset._no_monkey.get(queryset, *args, **kwargs)
    found = upstream_query._local_get_cache.get(local)
    if found is None:
        found = upstream_query._local_get_cache[local] = self._no_monkey.get(self, *args, **kwargs)
    return found


def first(self: QuerySet) -> Any:
    if self._result_cache is not None or not self._should_cache("get"):
        return self._no_monkey.first(self)  # the first of what was prefetched, perhaps by another query
    return self._no_monkey.first(self._clone().cache())


def _local_key(queryset: QuerySet, kwargs: dict[str, Any]) -> tuple | None:
    """Only for the plainest `get()`: nothing but its arguments says what is wanted, and as what."""
    query = queryset.query
    plain = (
        queryset._iterable_class is ModelIterable
        and queryset._fields is None
        and not query.select_related
        and not query.where.children
        and not query.annotations
        and not query.extra
        and not query.is_sliced
        and not queryset._prefetch_related_lookups
        and not queryset._known_related_objects
        and query.deferred_loading == (frozenset(), True)
    )
    if not plain:
        return None
    try:
        return queryset.__class__, queryset.model, queryset.db, encode(kwargs)
    except NoKey:
        return None


def _statement(queryset: QuerySet) -> Statement:
    return compiled(queryset.query.get_compiler(queryset.db))


def _value(queryset: QuerySet, operation: str, run: Callable[[], Any]) -> Any:
    statement = rehearsed(run)
    if statement is None or not statement.sql:
        return run()  # Django knows the answer
    name = _name(queryset, lambda: keys.of_value(queryset, operation, statement))
    if name is None:
        return run()
    with _look_up(queryset, name, statement) as (data, store):
        if store is not None:
            cache_read.send(sender=None, func=run, hit=data is not None)
        if data is not None:
            return settings.CACHEOPS_SERIALIZER.loads(data)
        value = run()
        if store is not None:
            store(value)
        return value


def _name(queryset: QuerySet, make: Callable[[], str]) -> str | None:
    try:
        return make()
    except NoKey as error:
        keys.warn(f"a query of {queryset.model._meta.label}", error)
        return None


@contextmanager
def _look_up(queryset: QuerySet, name: str, statement: Statement) -> Iterator[tuple[Any, Callable | None]]:
    """The entry's value, and what stores another; neither if the result cannot be kept right (`conditions.reason`)."""
    profile = queryset._cacheprofile
    conditions = LazyConditions(statement)
    if profile["lock"] and conditions.reason:  # others would wait for a result that is not going to be stored
        keys.warn(f"a query of {queryset.model._meta.label}", conditions.reason)
        yield None, None
        return
    prefix = queryset._prefix
    key = fills.entry_key(prefix, prefix + name)
    with getset.getting(key, conditions, prefix, lock=profile["lock"]) as data:
        if data is None and conditions.reason:
            keys.warn(f"a query of {queryset.model._meta.label}", conditions.reason)
            yield None, None
            return

        def store(value: Any) -> None:
            getset.cache_thing(prefix, key, value, conditions, profile["timeout"], dbs=[queryset.db])

        yield data, store
