"""What takes the place of the signal handlers of `cacheops.query`. What a save writes is seen in `writes`."""

from __future__ import annotations

import logging
from typing import Any

from cacheops import invalidation as upstream
from cacheops.conf import model_profile, settings
from cacheops.transaction import transaction_states
from django.db import connections
from django.db.models import Model
from django.db.models.query import MAX_GET_RESULTS

from .conf import options

logger = logging.getLogger("cacheops_redis")


def pre_save(manager: Any, **kwargs) -> None:
    """Nothing: the old row is read when there is an UPDATE that needs it."""


def post_save(manager: Any, sender: type[Model], instance: Model, using: str, **kwargs) -> None:
    if not settings.CACHEOPS_ENABLED or upstream.no_invalidation.active:
        return
    field = _cached_field(instance, using)
    if field is None:
        return
    try:
        _cache(sender, getattr(instance, field), field, using)
    except Exception as error:  # of the serializer, of the server: the row is saved and its invalidation sent
        logger.warning("%s was saved, and could not be cached: %s", sender._meta.label, error)


def post_delete(manager: Any, **kwargs) -> None:
    """Nothing. That there is a receiver makes Django read the rows that it deletes, so that all of them is known."""


def _cached_field(instance: Model, using: str) -> str | None:
    """The field by which the object will be found, if it is to be cached. Not in a transaction, as in cacheops."""
    profile = model_profile(instance.__class__)
    field = profile and profile.get("cache_on_save")
    if not field or transaction_states[using] or options().MOVING:
        return None
    return "pk" if field is True else field


def _cache(sender: type[Model], value: Any, field: str, using: str) -> None:
    """Reads the row as the query would that gets it, and so stores it.

    The instance in memory is not what is stored: it may hold other types than the row, attributes of its own, or the
    row before another process's write.
    """
    queryset = sender.objects.using(using).filter(**{field: value}).order_by()
    if MAX_GET_RESULTS and (
        not queryset.query.select_for_update or connections[queryset.db].features.supports_select_for_update_with_limit
    ):
        queryset.query.set_limits(high=MAX_GET_RESULTS)  # as get() does
    queryset.cache(["fetch"])._fetch_all()
