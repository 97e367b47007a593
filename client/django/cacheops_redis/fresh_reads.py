"""Reads that decide about a write go to the database.

The ORM reads before it writes: a deletion collects the rows that a cascade takes along, `add()` and `set()` of a
related manager look for what is there, `save()` reads whether the row exists, `full_clean()` whether a value is unique.
An entry may be older than the row: between another process's commit and its invalidation, or because a program that
writes does not invalidate. To act on it loses data, so within these operations no queryset looks into the cache.

Receivers of signals are code of the application, and read as everywhere else.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from django.apps import apps
from django.db.models import ForeignKey, Model, QuerySet, signals
from django.db.models.deletion import Collector
from django.db.models.fields import related_descriptors

from . import invalidation


class _Thread(threading.local):
    deciding = False


_thread = _Thread()

_SIGNALS = (signals.pre_save, signals.post_save, signals.pre_delete, signals.post_delete, signals.m2m_changed)
_QUERYSET = ("delete", "update", "bulk_create", "bulk_update", "get_or_create", "update_or_create")
_MODEL = ("save_base", "refresh_from_db", "_perform_unique_checks", "_perform_date_checks", "validate_constraints")
_MANAGER = ("add", "remove", "clear", "set", "create", "get_or_create", "update_or_create")


def may_cache() -> bool:
    """Whether a queryset may look into the cache."""
    return not _thread.deciding


@contextmanager
def _deciding(active: bool) -> Iterator[None]:
    before, _thread.deciding = _thread.deciding, active
    try:
        yield
    finally:
        _thread.deciding = before


def decides(function: Callable) -> Callable:
    """What this function reads decides about a write."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _deciding(True):
            return function(*args, **kwargs)

    return wrapper


def _of_the_application(function: Callable) -> Callable:
    """Sends a signal: what has been written so far is invalidated before, and its receivers may read the cache."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        invalidation.flush_batch()
        if not _thread.deciding:
            return function(*args, **kwargs)
        with _deciding(False):
            return function(*args, **kwargs)

    return wrapper


def install() -> None:
    homes = ((QuerySet, _QUERYSET), (Model, _MODEL), (Collector, ("collect", "delete")), (ForeignKey, ("validate",)))
    for home, names in homes:
        for name in names:
            setattr(home, name, decides(getattr(home, name)))
    for name in ("create_reverse_many_to_one_manager", "create_forward_many_to_many_manager"):
        _wrap_managers(related_descriptors, name)
    for signal in _SIGNALS:
        signal.send = _of_the_application(signal.send)


def install_when_ready() -> None:
    """Generic relations are imported only once all models may be."""
    if apps.is_installed("django.contrib.contenttypes"):
        from django.contrib.contenttypes import fields

        _wrap_managers(fields, "create_generic_related_manager")


def _wrap_managers(module: ModuleType, name: str) -> None:
    """The classes of related managers are made for each relation, when it is first used."""
    factory = getattr(module, name)

    @functools.wraps(factory)
    def wrapper(*args: Any, **kwargs: Any) -> type:
        manager = factory(*args, **kwargs)
        for method in _MANAGER:
            if method in vars(manager):
                setattr(manager, method, decides(vars(manager)[method]))
        return manager

    setattr(module, name, wrapper)
