"""What takes the place of the functions of `cacheops.invalidation`.

A row goes to the server as what is known of it; a field that is left out stands for any value. So a deferred field, an
expression, a column that the database computes, cannot hide an entry: it only matches more of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Callable

import redis
from cacheops import invalidation as upstream
from cacheops import query as upstream_query
from cacheops.conf import settings
from cacheops.redis import redis_client
from cacheops.sharding import get_prefix
from cacheops.signals import cache_invalidated
from cacheops.transaction import transaction_states
from cacheops.utils import family_has_profile
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model
from funcy import decorator

from . import isolation, outbox, tables, wire
from .conf import options
from .failure import degrades

logger = logging.getLogger("cacheops_redis")

PAUSE_SECONDS = 5.0  # for which writes of models without a profile leave a server alone that cannot be used
_paused_until = 0.0

skip_on_no_invalidation = upstream.skip_on_no_invalidation
_upstream_invalidate_dict = upstream.invalidate_dict
_upstream_invalidate_model = upstream.invalidate_model


_BY_HAND = "_cacheops_by_hand"  # of a DatabaseWrapper: what waits for the end of a transaction by hand


def queue_by_hand(connection: Any) -> list[tuple]:
    return connection.__dict__.setdefault(_BY_HAND, [])


def take_by_hand(connection: Any) -> list[tuple]:
    return connection.__dict__.pop(_BY_HAND, [])


def _when_committed(using: str | None, function: Callable, *args: Any) -> Any:
    using = using or DEFAULT_DB_ALIAS
    if transaction_states[using]:
        transaction_states[using].push((function, args, {}))
    elif using in connections and isolation.is_by_hand(connections[using]):
        queue_by_hand(connections[using]).append((function, args, {}))
    else:
        return function(*args)
    return None


@decorator
def when_committed(call: Any) -> Any:
    return _when_committed(call.using, call)


@skip_on_no_invalidation
@when_committed
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
@when_committed
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
        value = obj.__dict__[name]
        if hasattr(value, "resolve_expression"):
            continue
        if value is not None:
            try:
                value = field.get_prep_value(value)
            except Exception:  # code of fields: what it does not like is not known
                continue
        elif field.primary_key:
            continue  # bulk_create does not always learn it
        known[name] = value
    return known


def invalidate_rows(model: type[Model], images: list[dict[str, Any]], using: str) -> None:
    """Invalidates what may depend on rows of the model's own table. An empty image is any row."""
    if model._meta.apps is apps and family_has_profile(model):
        with together():
            for image in images:
                if image:
                    upstream.invalidate_dict(model, image, using=using)
                else:
                    upstream.invalidate_model(model, using=using)
    else:
        _when_committed(using, _send_unlisted, model, images, using)


def _send_unlisted(model: type[Model], images: list[dict[str, Any]], using: str) -> None:
    """Rows of a model without a profile. Queries of other models may join it; no signal is sent."""
    if upstream.no_invalidation.active or not settings.CACHEOPS_ENABLED:
        return

    def afterwards() -> None:
        for image in images if options().MOVING else ():
            if image:
                _upstream_invalidate_dict(model, image, using=using)
            else:
                _upstream_invalidate_model(model, using=using)

    _send([_change(model._meta.db_table, image, using) for image in images], afterwards, needed=False)


def invalidate_any_rows(models: Iterable[type[Model]], using: str) -> None:
    """What raw SQL may have written. It never failed for the cache's sake, and does not."""
    with together():
        for model in models:
            _when_committed(using, _send_unlisted, model, [{}], using)


def invalidate_tables(using: str) -> None:
    """Invalidates what depends on any row of any table."""
    found = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    changes = [_change(table, {}, using) for table, model in found.items() if model._meta.managed]
    _send(changes, lambda: redis_client.flushdb() if options().MOVING else None, needed=False)


_upstream_invalidate_m2m = upstream_query.invalidate_m2m


def invalidate_m2m(**kwargs: Any) -> None:
    """The rows of a relation are seen where they are written; the Lua scripts need the signal."""
    if options().MOVING:
        _upstream_invalidate_m2m(**kwargs)


class _Batch(threading.local):
    """Changes and what is to be done after them, while they are collected."""

    def __init__(self) -> None:
        self.active = False
        self.clear()

    def clear(self) -> None:
        self.changes: list[outbox.Change] = []
        self.afterwards: list[Callable[[], object]] = []
        self.needed = False

    def take(self) -> tuple[list[outbox.Change], list[Callable[[], object]], bool]:
        taken = self.changes, self.afterwards, self.needed
        self.clear()
        return taken


_batch = _Batch()


@contextmanager
def together() -> Iterator[None]:
    """Invalidations inside go to the server as one command at the end, and at once."""
    if _batch.active:
        yield
        return
    _batch.active = True
    try:
        yield
    except BaseException:
        _batch.active = False
        try:
            flush_batch()
        except Exception:
            logger.exception(
                "invalidations could not be sent, behind another failure; they are sent before the next hit"
            )
        raise
    finally:
        _batch.active = False
    flush_batch()


def flush_batch() -> None:
    """Sends what has been collected so far: before code of the application, which may read, goes on."""
    changes, afterwards, needed = _batch.take()
    if changes:
        _deliver(changes, afterwards, needed)


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


def _send(changes: list[outbox.Change], afterwards: Callable[[], object], needed: bool = True) -> None:
    """`needed`: a failure is one of the application's. Models without a profile do not depend on the server."""
    if _batch.active:
        _batch.changes += changes
        _batch.afterwards.append(afterwards)
        _batch.needed = _batch.needed or needed
    else:
        _deliver(changes, [afterwards], needed)


def _deliver(changes: list[outbox.Change], afterwards: list[Callable[[], object]], needed: bool) -> None:
    try:
        if needed:
            _deliver_now(changes)
        else:
            _deliver_if_possible(changes)
    finally:
        _call_all(afterwards)


@degrades
def _deliver_now(changes: list[outbox.Change]) -> None:
    outbox.deliver(changes)


def _deliver_if_possible(changes: list[outbox.Change]) -> None:
    global _paused_until
    if time.monotonic() < _paused_until:
        outbox.outbox.remember(changes)
        return
    try:
        outbox.deliver(changes)
    except (redis.RedisError, ImproperlyConfigured) as error:
        _paused_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("invalidations are kept until the server of cacheops can be used: %s", error)


def _call_all(functions: list[Callable[[], object]]) -> None:
    """A receiver that fails does not keep the others from being called."""
    failure: Exception | None = None
    for function in functions:
        try:
            function()
        except Exception as error:
            failure = failure or error
    if failure is not None:
        raise failure


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
