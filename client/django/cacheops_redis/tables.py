"""Which fields a table has, across all models that share it."""

from __future__ import annotations

from typing import Optional

from cacheops.invalidation import serializable_fields
from django.apps import apps
from django.db.models import Field, Model

from .canonical import granular, target

Fields = dict[str, Optional[Field]]

_by_name: dict[str, Fields] = {}
_by_column: dict[str, Fields] = {}


def by_name(table: str) -> Fields:
    """Attribute name -> field, or None where the field cannot narrow a condition."""
    return _lookup(_by_name, table)


def by_column(table: str) -> Fields:
    return _lookup(_by_column, table)


def concrete_parents(model: type[Model]) -> list[type[Model]]:
    """The models whose tables hold a part of this model's rows (multi-table inheritance)."""
    return [parent for parent in model._meta.get_parent_list() if not parent._meta.proxy]


# An application's own field that has one of these may send the database something else than `get_prep_value` gives, or
# have it compare in a way of its own.
_ON_THE_WAY = (
    "cast_db_type",
    "db_parameters",
    "db_type",
    "get_db_prep_save",
    "get_db_prep_value",
    "get_lookup",
    "get_placeholder",
    "get_placeholder_sql",
    "pre_save",
    "rel_db_type",
)


def predictable(field: Field) -> bool:
    """Does a row hold what `get_prep_value` makes of the attribute?"""
    return all(
        (getattr(getattr(type(one), name, None), "__module__", None) or "django.").startswith("django.")
        for one in (field, target(field))
        for name in _ON_THE_WAY
    )


def _lookup(kind: dict[str, Fields], table: str) -> Fields:
    if table not in kind:
        _read_models()
    return kind.setdefault(table, {})


def _read_models() -> None:
    for model in apps.get_models(include_auto_created=True, include_swapped=True):
        if model._meta.proxy:
            continue
        usable = serializable_fields(model)
        names = _by_name.setdefault(model._meta.db_table, {})
        columns = _by_column.setdefault(model._meta.db_table, {})
        for field in model._meta.concrete_fields:
            known = field if field in usable and granular(field) and predictable(field) else None
            _add(names, field.attname, known)
            # Inherited fields are columns of the parent's table; a row of the child may name them all the same.
            _add(columns, field.column, known)


def _add(fields: Fields, name: str, field: Field | None) -> None:
    if name in fields and field is not None:
        other = fields[name]
        if other is None or other.column != field.column or other.attname != field.attname:
            field = None  # two models of one table disagree, so the name says nothing
    fields[name] = field
