"""`invalidated_update()`: an UPDATE whose rows are known exactly, because they are fetched before and after."""

from __future__ import annotations

from typing import Any

from cacheops import invalidation as upstream
from django.db.models import QuerySet
from django.db.transaction import atomic

from . import writes
from .invalidation import together


def invalidated_update(self: QuerySet, **kwargs: Any) -> int:
    """An UPDATE with the rows fetched before and after. After, not by the default manager, which may hide some."""
    rows = self._clone().nocache().select_related(None)
    rows._for_write = True  # for routers
    using = rows.db
    with atomic(using=using):
        before = list(rows.select_for_update())
        with writes.unseen():
            count = rows.update(**kwargs)
        after = list(self.model._base_manager.using(using).filter(pk__in={obj.pk for obj in before}).nocache())
        with together():
            for obj in (*before, *after):
                upstream.invalidate_obj(obj, using=using)
    return count


invalidated_update.alters_data = True
