"""What a queryset gives its rows that is no part of the result: the owner of a related manager, how fields are fetched.

Django sets `player.team` of `team.players.all()` to the very `team`. An entry is read by others, who have a `team` of
their own, or an older one; so rows are kept without owners, and get those of the queryset that reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

import django
from django.db.models import Model, QuerySet
from django.db.models.query import ModelIterable

_LEAVES_DEFERRED = django.VERSION >= (6, 1)  # before, a key that is deferred is fetched


@contextmanager
def without(queryset: QuerySet) -> Iterator[None]:
    """Rows that are made inside have no owners."""
    owners, queryset._known_related_objects = queryset._known_related_objects, {}
    try:
        yield
    finally:
        queryset._known_related_objects = owners


def give(queryset: QuerySet, rows: list[Any]) -> None:
    """What `ModelIterable` does to rows of the database beside reading them."""
    if not issubclass(queryset._iterable_class, ModelIterable):
        return
    for field, owners in queryset._known_related_objects.items():
        names = [
            field.attname if name == "self" else queryset.model._meta.get_field(name).attname
            for name in field.from_fields
        ]
        for row in rows:
            if field.is_cached(row) or (_LEAVES_DEFERRED and any(name not in row.__dict__ for name in names)):
                continue
            values = [getattr(row, name) for name in names]
            owner = owners.get(values[0] if len(values) == 1 else tuple(values))
            if owner is not None:
                setattr(row, field.name, owner)


def renew(queryset: QuerySet, rows: list[Any]) -> None:
    """Rows of an entry fetch what is deferred as this queryset says, for all their peers perhaps (since Django 6.1)."""
    mode = getattr(queryset, "_fetch_mode", None)
    if mode is not None and issubclass(queryset._iterable_class, ModelIterable):
        _set_fetch_mode(rows, mode, set())


def _set_fetch_mode(rows: list[Model], mode: Any, seen: set[int]) -> None:
    seen.update(map(id, rows))  # two rows may be related both ways
    peers = [ref(row) for row in rows] if mode.track_peers else ()
    related: dict[str, list[Model]] = {}
    for row in rows:
        row._state.fetch_mode = mode
        if mode.track_peers:
            row._state.peers = peers
        for name, one in row._state.fields_cache.items():
            if isinstance(one, Model) and id(one) not in seen:
                related.setdefault(name, []).append(one)
    for one in related.values():
        _set_fetch_mode(one, mode, seen)
