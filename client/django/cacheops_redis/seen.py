"""Which relations are written by the ORM only, so that every change of them invalidates.

A result can only be kept right if every write that changes it is seen. So a statement that reads anything else is not
cached: a table of no model, or a view (an unmanaged model that CACHEOPS_MODULE['VIEWS'] does not name). Without
SEE_UPDATES only writes of models with a profile are seen, so then the others are among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cacheops.utils import family_has_profile
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db.models import Model
from django.dispatch import receiver

from .conf import options


class Relation(NamedTuple):
    tables: frozenset[str]
    """What it depends on, itself among them."""
    below: frozenset[str]
    """The same without itself: what is below a view."""
    reason: str | None
    """Why what reads it is not cached."""


_relations: dict[tuple[str, str], Relation] = {}
_models: dict[str, list[type[Model]]] = {}


def relation(name: str, connection: Any) -> Relation:
    """The relation that SQL names like this: `table`, or `schema.table`."""
    key = connection.vendor, name
    if key not in _relations:
        _relations[key] = _relation(name, connection)
    return _relations[key]


def is_registered(model: type[Model]) -> bool:
    """Models of migrations, and of tests, may have the name of another one, or none that can be found."""
    meta = model._meta
    return meta.apps is apps and apps.all_models.get(meta.app_label, {}).get(meta.model_name) is model


def _relation(name: str, connection: Any) -> Relation:
    models = _models_of(name, connection)
    if not models:
        return Relation(frozenset(), frozenset(), f"it reads {name!r}, which is the table of no model")
    table = models[0]._meta.db_table
    below: frozenset[str] = frozenset()
    views = options().VIEWS
    labels = {model._meta.label.lower(): model for model in models}
    named = [name for name in views if name.lower() in labels or name == table]
    if named:
        below = frozenset(_table_of(one) for one in views[named[0]]) - {table}
    elif not any(model._meta.managed for model in models):
        return Relation(
            frozenset([table]),
            below,
            f"it reads {table!r} of an unmanaged model, which may be a view: name the tables below it in "
            f"CACHEOPS_MODULE['VIEWS'], or the model itself if it is a table, as in {{'{models[0]._meta.label}': "
            f"['{models[0]._meta.label}']}}",
        )
    for one in below or {table}:
        owners = _models_of(one, connection)
        if not options().SEE_UPDATES and not any(family_has_profile(model) for model in owners):
            label = owners[0]._meta.label_lower
            reason = f"it reads {one!r}, whose writes are not seen without SEE_UPDATES: add {label!r}: {{}} to CACHEOPS"
            return Relation(below | {table}, below, reason)
    return Relation(below | {table}, below, None)


@receiver(setting_changed)
def _forget(setting: str, **_kwargs: Any) -> None:
    if setting in ("CACHEOPS_MODULE", "CACHEOPS", "INSTALLED_APPS"):
        _relations.clear()
        _models.clear()


def _models_of(name: str, connection: Any) -> list[type[Model]]:
    if not _models:
        for model in apps.get_models(include_auto_created=True, include_swapped=True):
            if not model._meta.proxy:
                for spelling in _spellings(model._meta.db_table, connection):
                    _models.setdefault(spelling, []).append(model)
    return _models.get(name) or _models.get(name.lower()) or []


def _spellings(table: str, connection: Any) -> Iterator[str]:
    plain = table.replace('"', "").replace("`", "")
    yield from {table, plain, plain.lower(), plain.upper()}


def _table_of(name: str) -> str:
    if "." in name:
        try:
            return apps.get_model(name)._meta.db_table
        except LookupError:
            pass
    if not any(model._meta.db_table == name for model in apps.get_models(include_auto_created=True)):
        raise ImproperlyConfigured(
            f"CACHEOPS_MODULE['VIEWS'] names {name!r}, which is neither a model like 'app.Model' nor the table of one"
        )
    return name
