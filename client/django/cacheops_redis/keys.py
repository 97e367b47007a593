"""Keys of entries: two queries have one key only if they are the same query.

The key of a query is made of the compiled SQL, each parameter with its type, the database, and what becomes of a row:
the columns in their order with what converts them, the names that they get, and the class that makes results of them.
cacheops makes its keys of Python's `sql % params`, where a value can be chosen so that it looks like another query.

The key of a function is made of its place in the code, of what it closes over, and of its arguments (encode.py).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from cacheops.utils import stamp_fields
from django.db.models import Field, Model, QuerySet
from django.db.models.expressions import Col
from django.db.models.sql.query import Query

from .compiled import Statement
from .encode import NoKey, digest, encode, part, path, sequence, text

logger = logging.getLogger("cacheops_redis")


def of_rows(queryset: QuerySet, statement: Statement) -> str:
    """The name of what a queryset fetches, as cacheops calls it: `q:...`."""
    query = queryset.query
    return "q:" + digest(
        sequence(
            b"R",
            [
                text(path(type(queryset))),
                text(path(queryset._iterable_class)),
                encode(getattr(queryset, "_fields", None)),
                encode([*query.extra_select, *query.values_select, *query.annotation_select]),
                _of_statement(queryset.model, statement, _database(queryset)),
                _of_klass_info(statement.compiler.klass_info),
                encode(statement.compiler.annotation_col_map or None),
            ],
        )
    )


def of_value(queryset: QuerySet, operation: str, statement: Statement) -> str:
    """The name of a count, an aggregate, or an exists."""
    columns = list(statement.compiler.query.annotation_select.items())
    return "as:" + digest(
        sequence(
            b"V",
            [
                text(operation),
                encode([name for name, _expression in columns]),
                sequence(b"C", [_of_column(expression) for _name, expression in columns]),
                _of_statement(queryset.model, statement, _database(queryset)),
            ],
        )
    )


def of_call(function: bytes, args: Any, kwargs: dict, samples: Iterable[str], extra: Any) -> str:
    """The name of what a function answers."""
    return digest(sequence(b"A", [function, encode(args), encode(kwargs), encode(list(samples)), encode(extra)]))


def _database(queryset: QuerySet) -> str | None:
    """Databases share an entry only where the profile says that they hold the same."""
    profile = queryset._cacheprofile
    return None if profile and profile["db_agnostic"] else queryset.db


def _of_statement(model: type[Model], statement: Statement, database: str | None) -> bytes:
    compiler = statement.compiler
    return sequence(
        b"Y",
        [
            text(path(model)),
            text(stamp_fields(model)),
            encode(database),
            text(compiler.connection.vendor),
            text(statement.sql),
            sequence(b"p", [encode(param) for param in statement.params]),
            sequence(b"c", [_of_column(column[0]) for column in compiler.select or ()]),
        ],
    )


def _of_klass_info(info: dict[str, Any] | None) -> bytes:
    """Which columns become which objects."""
    if not info:
        return b""
    related = [_of_klass_info(one) for one in info.get("related_klass_infos", ())]
    field = info.get("field")
    return sequence(
        b"k",
        [
            text(path(info["model"])),
            text(stamp_fields(info["model"])),
            encode(list(info["select_fields"])),
            encode([bool(info.get("reverse")), bool(info.get("from_parent"))]),
            encode(getattr(field, "name", None)),
            *related,
        ],
    )


def _of_column(expression: Any) -> bytes:
    """What converts a column: the expression's class, and the field that it is of."""
    if type(expression) is Col:
        return _of_field(expression.output_field)
    field = getattr(expression, "_output_field_or_none", None)
    parts = [text(path(type(expression))), _of_field(field) if field is not None else b""]
    if not type(expression).__module__.startswith("django."):
        parts.append(_of_expression(expression))
    return sequence(b"x", parts)


def _of_field(field: Field) -> bytes:
    model = getattr(field, "model", None)
    if model is not None:
        return _of_model_field(field, model)
    if type(field).__module__.startswith("django."):
        _name, _path, args, kwargs = field.deconstruct()
        return sequence(b"f", [text(path(type(field))), _of_argument(args), _of_argument(kwargs)])
    state = {name: value for name, value in field.__dict__.items() if name not in _COUNTERS}
    return sequence(b"f", [text(path(type(field))), _of_argument(state)])


_COUNTERS = {"creation_counter", "auto_creation_counter", "error_messages", "_error_messages", "validators"}


@lru_cache(maxsize=10_000)
def _of_model_field(field: Field, model: type[Model]) -> bytes:
    return sequence(b"F", [text(model._meta.label), text(field.name or ""), text(path(type(field)))])


def _of_expression(expression: Any) -> bytes:
    """An application's own expression, whose `convert_value` may do anything with what it was made of."""
    made_of = getattr(expression, "_constructor_args", None)
    if made_of is None:
        raise NoKey(f"an expression of {type(expression).__qualname__} does not say what it was made of")
    return sequence(b"E", [text(path(type(expression))), *(_of_argument(one) for one in made_of)])


def _of_argument(value: Any) -> bytes:
    if isinstance(value, (list, tuple)):
        return sequence(b"T", [_of_argument(one) for one in value])
    if isinstance(value, dict):
        return sequence(b"K", sorted(encode(name) + _of_argument(one) for name, one in value.items()))
    if isinstance(value, Field):
        return _of_field(value)
    if isinstance(value, (QuerySet, Query)):
        return b"q"  # what it says is in the SQL
    if hasattr(value, "resolve_expression"):
        return _of_expression(value)
    return encode(value)


# Functions


def of_function(function: Any) -> bytes:
    """What a function is, found out once, when it is decorated: its place, its code, and what it closes over.

    A variable of an outer function that has no form as bytes, such as a lock, gets a random mark: results are then
    shared by the calls of this one closure, in this process, and by no others.
    """
    return _of_function(function, set())


def _of_function(function: Any, within: set[int]) -> bytes:
    if not isinstance(function, FunctionType):
        return encode(function)
    if id(function) in within:
        return b"@"  # it calls itself
    within = within | {id(function)}
    place = [function.__module__ or "", function.__qualname__]
    if not function.__globals__.get("CACHEOPS_DEBUG"):
        place.append(str(function.__code__.co_firstlineno))
    parts = [encode(place), _of_code(function.__code__)]
    parts += [_of_variable(value, within) for value in function.__defaults__ or ()]
    parts += [text(name) + _of_variable(value, within) for name, value in (function.__kwdefaults__ or {}).items()]
    if not is_of_cacheops(function):
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            try:
                parts.append(text(name) + _of_variable(cell.cell_contents, within))
            except ValueError:
                parts.append(text(name))  # not yet assigned: the function itself, mostly
    return sequence(b"U", parts)


def is_of_cacheops(function: Any) -> bool:
    """Is it what a template tag of cacheops caches? It closes over the template, and `extra` names the fragment."""
    return (getattr(function, "__module__", None) or "").partition(".")[0] == "cacheops"


def _of_variable(value: Any, within: set[int]) -> bytes:
    try:
        return _of_function(value, within) if isinstance(value, FunctionType) else encode(value)
    except NoKey:
        return part(b"!", os.urandom(16))


def _of_code(code: CodeType) -> bytes:
    """Two lambdas may stand in one line."""
    constants = [_of_code(one) if isinstance(one, CodeType) else encode(one) for one in code.co_consts]
    return sequence(b"O", [encode(code.co_code), encode(list(code.co_names)), *constants])


_warned: set[str] = set()


def warn(what: str, reason: object) -> None:
    """Says once why something is not cached."""
    message = f"{what} is not cached: {reason}"
    if message not in _warned and len(_warned) < 1000:
        _warned.add(message)
        logger.warning(message)
