"""`cached_as` and `cached`: what takes the place of those of cacheops, for the sake of their keys.

A function whose arguments, or whose outer variables, cannot be told from others is called without the cache.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cached_property, wraps
from typing import Any, Callable

from asgiref.sync import iscoroutinefunction
from cacheops import getset, utils
from cacheops.conf import settings
from cacheops.sharding import get_prefix
from cacheops.signals import cache_read
from cacheops.simple import BaseCache, CacheKey, CacheMiss
from cacheops.transaction import transaction_states
from django.db.models import Model, QuerySet
from django.utils.safestring import SafeString

from . import fills, keys, queries
from .conditions import Conditions, LazyConditions, merged
from .encode import NoKey, encode

_upstream_cached_view_fab = utils.cached_view_fab


def cached_as(
    *samples: Any,
    timeout: int | None = None,
    extra: Any = None,
    lock: bool | None = None,
    keep_fresh: bool = False,
) -> Callable:
    """Caches what a function answers, until something changes that the samples name: querysets, models or instances.

    `keep_fresh` is what always happens: a result that was computed before a change is not stored after it.
    """
    if not samples:
        raise TypeError("Pass a queryset, a model or an object to cache like")
    if len(samples) == 1 and isinstance(samples[0], list):
        return lambda func: func  # a page of a paginator may be a list

    plan = _Plan(samples)
    if timeout is None:
        timeout = min(queryset._cacheprofile["timeout"] for queryset in plan.querysets)
    if lock is None:
        lock = any(queryset._cacheprofile["lock"] for queryset in plan.querysets)

    def decorator(func: Callable) -> Callable:
        name = _refuse_async(func, "cached_as")
        function, unknown = _function(func)

        @wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not settings.CACHEOPS_ENABLED or transaction_states.is_dirty(plan.dbs):
                return func(*args, **kwargs)
            try:
                if unknown or plan.reason:
                    raise unknown or NoKey(plan.reason)
                more = _more(func, extra, args, kwargs)
                key = "as:" + keys.of_call(function, args, kwargs, plan.keys, more)
            except NoKey as error:
                keys.warn(name, error)
                return func(*args, **kwargs)
            prefix = get_prefix(func=func, _cond_dnfs=plan.conditions, dbs=plan.dbs)
            key = fills.entry_key(prefix, prefix + key)
            with getset.getting(key, plan.conditions, prefix, lock=lock) as data:
                cache_read.send(sender=None, func=func, hit=data is not None)
                if data is not None:
                    return settings.CACHEOPS_SERIALIZER.loads(data)
                result = func(*args, **kwargs)
                getset.cache_thing(prefix, key, result, plan.conditions, timeout, dbs=plan.dbs)
                return result

        return wrapper

    return decorator


def cached(self: BaseCache, timeout: int | None = None, extra: Any = None) -> Callable:
    """`cacheops.cached` of a simple cache: for a time, whatever happens."""
    if callable(timeout):
        return self.cached()(timeout)

    def decorator(func: Callable) -> Callable:
        name = _refuse_async(func, "cached")
        function, unknown = _function(func)
        if unknown:
            keys.warn(name, unknown)

        def key_of(args: Any, kwargs: dict) -> str:
            if unknown:
                raise unknown
            more = _more(func, extra, args, kwargs)
            return get_prefix(func=func) + "c:" + keys.of_call(function, args, kwargs, (), more)

        @wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not settings.CACHEOPS_ENABLED:
                return func(*args, **kwargs)
            try:
                key = key_of(args, kwargs)
            except NoKey as error:
                keys.warn(name, error)
                return func(*args, **kwargs)
            try:
                return self._get(key)
            except CacheMiss:
                result = func(*args, **kwargs)
                self._set(key, result, timeout)
                return result

        def invalidate(*args: Any, **kwargs: Any) -> None:
            self._delete(key_of(args, kwargs))

        def key(*args: Any, **kwargs: Any) -> CacheKey:
            return CacheKey.make(key_of(args, kwargs), cache=self, timeout=timeout)

        wrapper.invalidate = invalidate
        wrapper.key = key
        return wrapper

    return decorator


class _Plan:
    """What the samples of a `cached_as` say. Found out at the first call: before it, not all models may be there."""

    def __init__(self, samples: Iterable[Any]):
        self.samples = samples
        self.querysets = [_queryset(sample) for sample in samples]
        self.dbs = list({queryset.db for queryset in self.querysets})

    @cached_property
    def _all(self) -> tuple[Conditions, list[str], str | None]:
        conditions, reason = merged(LazyConditions(queryset) for queryset in self.querysets)
        try:
            for sample in self.samples:
                if isinstance(sample, Model):
                    encode(sample)
            return conditions, [queries.cache_key(queryset, prefix=False) for queryset in self.querysets], reason
        except NoKey as error:
            return conditions, [], reason or str(error)

    conditions = property(lambda self: self._all[0])
    keys = property(lambda self: self._all[1])
    reason = property(lambda self: self._all[2])


def cached_view_fab(_cached: Callable) -> Callable:
    """Makes `cached_view` and `cached_view_as`, which are for plain views only."""
    make = _upstream_cached_view_fab(_cached)

    def cached_view(*args: Any, **kwargs: Any) -> Callable:
        decorate = make(*args, **kwargs)

        def decorator(view: Callable) -> Callable:
            _refuse_async(view, "a cached view")
            return decorate(view)

        return decorator

    return cached_view


def _queryset(sample: Any) -> QuerySet:
    if isinstance(sample, Model):
        sample = sample.__class__.objects.filter(pk=sample.pk)
    elif isinstance(sample, type) and issubclass(sample, Model):
        sample = sample.objects.all()
    sample._require_cacheprofile()
    return sample


def _more(func: Callable, extra: Any, args: Any, kwargs: dict) -> Any:
    if callable(extra):
        return extra(*args, **kwargs)
    if keys.is_of_cacheops(func) and isinstance(extra, tuple):
        # A text in a template is marked as safe, and the same one in invalidate_fragment() is not.
        return tuple(str.__str__(one) if isinstance(one, SafeString) else one for one in extra)
    return extra


def _function(func: Callable) -> tuple[bytes, NoKey | None]:
    try:
        return keys.of_function(func), None
    except NoKey as error:
        return b"", error


def _refuse_async(func: Callable, decorator: str) -> str:
    name = f"{getattr(func, '__module__', '')}.{getattr(func, '__qualname__', repr(type(func)))}"
    if iscoroutinefunction(func) or inspect.isasyncgenfunction(func):
        raise TypeError(
            f"{decorator} cannot cache {name}, which is async, for a coroutine is no result: cache a plain function, "
            "and await sync_to_async(function)(..)"
        )
    return name
