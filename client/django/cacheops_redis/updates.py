"""Writes of many rows: `bulk_create()`, `update()`, `bulk_update()`.

An UPDATE goes to the server as a predicate: rows that satisfy its condition, before and after. What the condition does
not tell of them stands for anything, so no row is fetched. Only with CACHEOPS_MODULE['SEE_UPDATES']: a condition that
is orthogonal to those of most queries takes many of them away.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cacheops import invalidation as upstream
from cacheops.conf import settings
from cacheops.query import QuerySetMixin
from cacheops.utils import family_has_profile
from django.db.models import QuerySet
from django.db.transaction import atomic

from . import conditions
from .conf import options
from .invalidation import together

_upstream_bulk_create = QuerySetMixin.bulk_create


class _SeenElsewhere(threading.local):
    active = False


_seen_elsewhere = _SeenElsewhere()


def update(self: QuerySet, **kwargs: Any) -> int:
    if not _sees_updates(self):
        return self._no_monkey.update(self, **kwargs)
    images = list(_images(self, kwargs))
    rows = self._no_monkey.update(self, **kwargs)
    with together():
        for model, image in images:
            upstream.invalidate_dict(model, image, using=self.db)
    return rows


def bulk_update(self: QuerySet, objs: Any, fields: Any, *args: Any, **kwargs: Any) -> int:
    if not _sees_updates(self):
        return self._no_monkey.bulk_update(self, objs, fields, *args, **kwargs)
    objs = tuple(objs)
    with _unseen():
        rows = self._no_monkey.bulk_update(self, objs, fields, *args, **kwargs)
    key = self.model._meta.pk.attname
    parents = {self.model._meta.get_field(name).model._meta.concrete_model for name in fields}
    with together():
        for obj in objs:
            upstream.invalidate_dict(self.model, {key: obj.pk}, using=self.db)
        for model in parents - {self.model._meta.concrete_model}:
            upstream.invalidate_model(model, using=self.db)
    return rows


def invalidated_update(self: QuerySet, **kwargs: Any) -> int:
    """An UPDATE with the rows fetched before and after. After, not by the default manager, which may hide some."""
    rows = self._clone().nocache().select_related(None)
    rows._for_write = True  # for routers
    using = rows.db
    with _unseen(), atomic(using=using):
        before = list(rows.select_for_update())
        count = rows.update(**kwargs)
        after = list(self.model._base_manager.using(using).filter(pk__in={obj.pk for obj in before}).nocache())
    with together():
        for obj in (*before, *after):
            upstream.invalidate_obj(obj, using=using)
    return count


def bulk_create(self: QuerySet, objs: Any, *args: Any, **kwargs: Any) -> Any:
    given = {**dict(zip(_BULK_CREATE, args)), **kwargs}
    with together():
        objs = _upstream_bulk_create(self, objs, *args, **kwargs)
        if given.get("update_conflicts") and family_has_profile(self.model):
            for image in _conflicting(self.model, objs, given.get("unique_fields") or ()):
                upstream.invalidate_dict(self.model, image, using=self.db)
    return objs


_BULK_CREATE = ("batch_size", "ignore_conflicts", "update_conflicts", "update_fields", "unique_fields")

for _function in (update, bulk_update, invalidated_update, bulk_create):
    _function.alters_data = True


def _sees_updates(queryset: QuerySet) -> bool:
    return (
        options().SEE_UPDATES
        and settings.CACHEOPS_ENABLED
        and not _seen_elsewhere.active
        and family_has_profile(queryset.model)
    )


@contextmanager
def _unseen() -> Iterator[None]:
    before, _seen_elsewhere.active = _seen_elsewhere.active, True
    try:
        yield
    finally:
        _seen_elsewhere.active = before


def _images(queryset: QuerySet, values: dict[str, Any]) -> Iterator[tuple[type, dict[str, Any]]]:
    """Rows before and after `UPDATE .. SET values WHERE condition`, as far as the two tell."""
    model = queryset.model._meta.concrete_model
    assigned: dict[type, dict[str, Any]] = {model: {}}
    for name, value in values.items():
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        assigned.setdefault(field.model._meta.concrete_model, {})[field] = value

    conjunctions = conditions.dnfs(queryset).get(model._meta.db_table, [])
    new = dict(_known(assigned.pop(model)))
    for conjunction in conjunctions:
        yield model, conjunction
        after = {**conjunction, **new}
        yield model, {name: value for name, value in after.items() if value is not _ANYTHING}
    for parent in assigned:
        yield parent, {}  # its rows are found through a join: all of them


_ANYTHING = object()


def _known(values: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for field, value in values.items():
        if hasattr(value, "prepare_database_save"):
            value = value.prepare_database_save(field)
        if hasattr(value, "resolve_expression"):
            value = _ANYTHING
        elif value is not None:
            try:
                value = field.get_prep_value(value)
            except (TypeError, ValueError):
                value = _ANYTHING
        yield field.attname, value


def _conflicting(model: type, objs: Any, unique_fields: Any) -> Iterator[dict[str, Any]]:
    """Rows that an upsert may have found: only the fields that they were found by are known."""
    meta = model._meta
    names = {(meta.pk if name == "pk" else meta.get_field(name)).attname for name in unique_fields}
    for obj in objs:
        yield {name: value for name, value in upstream.get_obj_dict(model, obj).items() if name in names}
