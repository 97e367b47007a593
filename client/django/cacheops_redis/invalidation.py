"""What takes the place of the functions of `cacheops.invalidation`.

A row goes to the server as what is known of it; a field that is left out stands for any value. So a deferred field, an
expression, a column that the database computes, cannot hide an entry: it only matches more of them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Callable

from cacheops import invalidation as upstream
from cacheops.conf import settings
from cacheops.redis import redis_client
from cacheops.sharding import get_prefix
from cacheops.signals import cache_invalidated
from cacheops.transaction import queue_when_in_transaction
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model

from . import outbox, server, tables, wire
from .conf import options
from .failure import degrades

skip_on_no_invalidation = upstream.skip_on_no_invalidation
_upstream_invalidate_dict = upstream.invalidate_dict
_upstream_invalidate_model = upstream.invalidate_model


@skip_on_no_invalidation
@queue_when_in_transaction
def invalidate_dict(model, obj_dict, using=DEFAULT_DB_ALIAS):
    """Invalidates what may depend on a row of which `obj_dict` is known: `{attname: value}`."""
    if upstream.no_invalidation.active or not settings.CACHEOPS_ENABLED:
        return
    model = model._meta.concrete_model
    changes = list(_changes(model, obj_dict, using))
    if options().MOVING:
        _send(changes, lambda: _upstream_invalidate_dict(model, obj_dict, using=using))
    else:
        _send(changes, lambda: cache_invalidated.send(sender=model, obj_dict=obj_dict))


@skip_on_no_invalidation
def invalidate_obj(obj, using=DEFAULT_DB_ALIAS):
    """Invalidates what may depend on an object, as it is in memory."""
    model = obj.__class__._meta.concrete_model
    upstream.invalidate_dict(model, get_obj_dict(model, obj), using=using)


@skip_on_no_invalidation
@queue_when_in_transaction
def invalidate_model(model, using=DEFAULT_DB_ALIAS):
    """Invalidates what depends on any row of the model. Costs as little as one row."""
    model = model._meta.concrete_model
    table = model._meta.db_table
    prefix = get_prefix(tables=[table], dbs=[using])
    if options().MOVING:
        _send([(prefix + table, wire.ANY)], lambda: _upstream_invalidate_model(model, using=using))
    else:
        _send([(prefix + table, wire.ANY)], lambda: cache_invalidated.send(sender=model, obj_dict=None))


@skip_on_no_invalidation
def invalidate_all():
    """Invalidates everything. Other keys of the database stay, unless CACHEOPS_MODULE['FLUSHDB'] is set."""
    _flush_all()
    cache_invalidated.send(sender=None, obj_dict=None)


def get_obj_dict(model: type[Model], obj: Model) -> dict[str, Any]:
    """What is known of an object's row: `{attname: prepared value}`."""
    known = {}
    for field in upstream.serializable_fields(model):
        name = field.attname
        if name not in obj.__dict__ or getattr(field, "generated", False):
            continue  # deferred, or computed by the database
        value = getattr(obj, name)
        if hasattr(value, "resolve_expression"):
            continue
        if value is not None:
            try:
                value = field.get_prep_value(value)
            except (TypeError, ValueError):
                continue
        elif field.primary_key:
            continue  # bulk_create does not always learn it
        known[name] = value
    return known


class _Batch(threading.local):
    """Changes and what is to be done after them, while somebody collects."""

    def __init__(self) -> None:
        self.changes: list[outbox.Change] | None = None
        self.afterwards: list[Callable[[], object]] = []


_batch = _Batch()


@contextmanager
def together(send: outbox.Send = server.invalidate) -> Iterator[None]:
    """Invalidations inside go to the server as one command at the end, and at once."""
    if _batch.changes is not None:
        yield
        return
    _batch.changes, _batch.afterwards = [], []
    try:
        yield
    finally:
        changes, afterwards = _batch.changes, _batch.afterwards
        _batch.changes, _batch.afterwards = None, []
        if changes:
            _deliver(changes, afterwards, send)


def run_queued(callbacks: Iterable[tuple]) -> None:
    """Runs what a transaction has queued. One that fails does not keep the others from running."""
    failure: BaseException | None = None
    with together():
        for function, args, kwargs in callbacks:
            try:
                function(*args, **kwargs)
            except Exception as error:
                failure = failure or error
    if failure is not None:
        raise failure


def _send(changes: list[outbox.Change], afterwards: Callable[[], object]) -> None:
    if _batch.changes is not None:
        _batch.changes += changes
        _batch.afterwards.append(afterwards)
    else:
        _deliver(changes, [afterwards], server.invalidate)


@degrades
def _deliver(changes: list[outbox.Change], afterwards: list[Callable[[], object]], send: outbox.Send) -> None:
    outbox.deliver(changes, send)
    for call in afterwards:
        call()


@degrades
def _flush_all() -> None:
    outbox.flush_all()
    if options().FLUSHDB or options().MOVING:
        redis_client.flushdb()


def _changes(model: type[Model], obj_dict: dict[str, Any], using: str) -> Iterator[outbox.Change]:
    """The row as a row of the model's table, and as rows of the tables of its parents where it has their fields."""
    yield _change(model._meta.db_table, obj_dict, using)
    for parent in tables.concrete_parents(model):
        names = {field.attname for field in parent._meta.local_concrete_fields}
        if names & obj_dict.keys():
            names |= {field.attname for field in parent._meta.concrete_fields}
            yield _change(parent._meta.db_table, {n: v for n, v in obj_dict.items() if n in names}, using)


def _change(table: str, values: dict[str, Any], using: str) -> outbox.Change:
    # PREFIX functions have been shown `_cond_dnfs` as pairs of table and items since cacheops 1; tables are new here.
    prefix = get_prefix(_cond_dnfs=[(table, list(values.items()))], tables=[table], dbs=[using])
    return prefix + table, wire.row(table, values)
