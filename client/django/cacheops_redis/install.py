"""The places where django-cacheops 7.2 is changed, all of them."""

from __future__ import annotations

import sys

import cacheops
from django.core.exceptions import ImproperlyConfigured

SUPPORTED = "7.2"

_installed = False


def install() -> None:
    """Replaces functions of cacheops. Must come before cacheops installs itself into Django's classes."""
    global _installed
    if _installed:
        return
    if cacheops.__version__ != SUPPORTED:
        raise ImproperlyConfigured(
            f"cacheops_redis is made for django-cacheops {SUPPORTED}, and this is {cacheops.__version__}: "
            f"pip install django-cacheops=={SUPPORTED}, or take 'cacheops_redis' out of INSTALLED_APPS"
        )
    from django.db.models import QuerySet

    if hasattr(QuerySet, "_no_monkey"):
        raise ImproperlyConfigured("cacheops has installed itself before cacheops_redis, let Django start both")
    _replace_functions()
    _replace_methods()
    _installed = True


def _replace_functions() -> None:
    from cacheops import getset, invalidation, query, reaper, simple, tree, utils

    from . import conditions, fills, functions
    from . import invalidation as ours
    from . import reaper as our_reaper

    _replace(getset, getting=fills.getting, cache_thing=fills.cache_thing)
    _replace(tree, dnfs=conditions.dnfs)
    _replace(utils, cached_view_fab=functions.cached_view_fab)
    _replace(query, cached_as=functions.cached_as)
    simple.BaseCache.cached = functions.cached
    _replace(simple, cached=simple.cache.cached)
    _replace(reaper, reap_conjs=our_reaper.reap_conjs)
    _replace(query, invalidate_m2m=ours.invalidate_m2m)
    _replace(
        invalidation,
        invalidate_dict=ours.invalidate_dict,
        invalidate_obj=ours.invalidate_obj,
        invalidate_model=ours.invalidate_model,
        invalidate_all=ours.invalidate_all,
        get_obj_dict=ours.get_obj_dict,
    )


def _replace(home, **functions) -> None:
    """Replaces functions where they are defined, and in every module that has imported them already."""
    for name, function in functions.items():
        original = getattr(home, name)
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get(name) is original:
                setattr(module, name, function)


def _replace_methods() -> None:
    from cacheops.query import ManagerMixin, QuerySetMixin
    from cacheops.transaction import AtomicMixIn, CursorWrapperMixin, TransactionState
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper
    from django.db.models import QuerySet
    from funcy import cached_property

    from . import compiled, db_cascades, fresh_reads, queries, saving, simple, transactions, updates, writes

    compiled.install()
    QuerySetMixin._cacheprofile = cached_property(queries._cacheprofile)
    QuerySetMixin._cache_key = queries.cache_key
    QuerySetMixin._cond_dnfs = cached_property(queries._cond_dnfs)
    for method in (queries.aggregate, queries.count, queries.exists, queries.first, queries.get):
        method.__doc__ = getattr(QuerySet, method.__name__).__doc__
        setattr(QuerySetMixin, method.__name__, method)
    QuerySetMixin._fetch_all = queries.fetch_all
    QuerySetMixin.invalidated_update = updates.invalidated_update
    del QuerySetMixin.bulk_create  # Django's: `writes` sees what it does

    should_cache = QuerySetMixin._should_cache
    QuerySetMixin._should_cache = lambda self, op: fresh_reads.may_cache() and should_cache(self, op)
    simple.install()
    writes.install()
    db_cascades.install()
    fresh_reads.install()

    # The handlers are methods of managers; connected by cacheops, once for each model.
    ManagerMixin._pre_save = saving.pre_save
    ManagerMixin._post_save = saving.post_save
    ManagerMixin._post_delete = saving.post_delete

    TransactionState.commit = transactions.commit
    TransactionState.rollback = transactions.rollback
    AtomicMixIn.__enter__ = transactions.atomic_enter
    AtomicMixIn.__exit__ = transactions.atomic_exit
    CursorWrapperMixin.execute = transactions.execute
    CursorWrapperMixin.executemany = transactions.executemany
    CursorWrapperMixin.callproc = transactions.callproc
    CursorWrapper.__getattr__ = transactions.cursor_attribute
    for name in ("commit", "rollback", "close", "set_autocommit"):
        end = transactions.ending(getattr(BaseDatabaseWrapper, name), rolls_back=name == "rollback")
        setattr(BaseDatabaseWrapper, name, end)
