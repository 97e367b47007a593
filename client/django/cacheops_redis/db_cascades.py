"""Rows that the database deletes or changes by itself when a row goes: `DB_CASCADE` and its like, since Django 6.1.

Django sends no statement for them, but the models name them. What a DELETE takes along in this way concerns the whole
table of each model on the way, because which rows it is only the database knows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from cacheops import invalidation as upstream
from django.db.models import Model, deletion
from django.db.models.sql.compiler import SQLDeleteCompiler

_DatabaseOnDelete = getattr(deletion, "DatabaseOnDelete", None)


def install() -> None:
    if _DatabaseOnDelete is not None:
        SQLDeleteCompiler.execute_sql = _deleting(SQLDeleteCompiler.execute_sql)


def _deleting(execute_sql: Callable) -> Callable:
    @functools.wraps(execute_sql)
    def wrapper(self: SQLDeleteCompiler, *args: Any, **kwargs: Any) -> Any:
        try:
            return execute_sql(self, *args, **kwargs)
        finally:  # it may have been run, whatever was raised behind it
            for model in affected(self.query.get_meta().concrete_model):
                upstream.invalidate_model(model, using=self.connection.alias)

    return wrapper


def affected(model: type[Model]) -> tuple[type[Model], ...]:
    """The models whose rows the database deletes or changes with a row of this one."""
    found: list[type[Model]] = []
    waiting = [model]
    while waiting:
        for relation in waiting.pop()._meta.get_fields(include_hidden=True):
            on_delete = getattr(relation, "on_delete", None)
            if relation.concrete or not isinstance(on_delete, _DatabaseOnDelete):
                continue
            related = relation.related_model._meta.concrete_model
            if related not in found:
                found.append(related)
                if on_delete.operation == "CASCADE":
                    waiting.append(related)
    return tuple(found)
