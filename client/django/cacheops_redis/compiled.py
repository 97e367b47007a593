"""A SELECT as Django compiles it, before it is sent: what it says, which queries are in it, what becomes of its rows.

All that the bridge concludes about a query, its key and what it depends on, it concludes from this text, for what is
not in the text cannot have a part in the result. ORDER BY and select_related join tables only while they are compiled,
and an expression may have a query inside it that no attribute shows.

While a statement is collected, `SQLCompiler.get_from_clause` notes each SELECT with the tables of its FROM, and puts a
mark in front of them. A table in the text without a mark comes from raw SQL. `SQLCompiler.compile` notes which
parameters are only compared with texts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.query import Query

from .texts import ComparedText, marked

MARK = "\x01"


class Select(NamedTuple):
    """One SELECT of a statement: its query, and what stands in its FROM by alias."""

    query: Query
    tables: dict[str, Any]


class Statement(NamedTuple):
    compiler: SQLCompiler
    sql: str  # with marks; empty if Django knows that there are no rows
    params: tuple
    unclear: tuple
    """Those of the parameters that the database may read as something else than a text (texts.py)."""
    selects: list[Select]


def compiled(compiler: SQLCompiler) -> Statement:
    with _collecting() as selects:
        try:
            sql, params = compiler.as_sql()
        except EmptyResultSet:
            sql, params = "", ()
    unclear = tuple(param for param in params if not isinstance(param, ComparedText))
    params = tuple(param.original if isinstance(param, ComparedText) else param for param in params)
    return Statement(compiler, sql, params, unclear, selects)


def rehearsed(action: Callable[[], Any]) -> Statement | None:
    """The statement that an action would send first, or None if it comes to its end without one.

    Whatever else the action raises is raised: it is what Django says to the caller.
    """
    before, _state.rehearsing = _state.rehearsing, True
    try:
        action()
    except _Reached as reached:
        compiler = reached.compiler
    else:
        return None
    finally:
        _state.rehearsing = before
    return compiled(compiler)


class _Reached(BaseException):
    """Not an Exception: no handler on the way may take it for an error."""

    def __init__(self, compiler: SQLCompiler):
        self.compiler = compiler


class _State(threading.local):
    def __init__(self) -> None:
        self.selects: list[Select] | None = None
        self.rehearsing = False


_state = _State()


@contextmanager
def _collecting() -> Iterator[list[Select]]:
    before = _state.selects, _state.rehearsing
    found: list[Select] = []
    _state.selects, _state.rehearsing = found, False
    try:
        yield found
    finally:
        _state.selects, _state.rehearsing = before


_compile = SQLCompiler.compile
_get_from_clause = SQLCompiler.get_from_clause
_execute_sql = SQLCompiler.execute_sql


def compile(self: SQLCompiler, node: Any) -> tuple[str, Any]:
    sql, params = _compile(self, node)
    return (sql, params) if _state.selects is None else (sql, marked(node, params, self.connection))


def get_from_clause(self: SQLCompiler) -> tuple[list[str], list[Any]]:
    clauses, params = _get_from_clause(self)
    if _state.selects is None:
        return clauses, params
    query = self.query
    tables = {alias: table for alias, table in query.alias_map.items() if query.alias_refcount.get(alias)}
    _state.selects.append(Select(query, tables))
    # What begins with a comma is a table of extra(tables=...).
    return [clause if clause.startswith(",") else MARK + clause for clause in clauses], params


def execute_sql(self: SQLCompiler, *args: Any, **kwargs: Any) -> Any:
    if _state.rehearsing:
        raise _Reached(self)
    return _execute_sql(self, *args, **kwargs)


def install() -> None:
    SQLCompiler.compile = compile
    SQLCompiler.get_from_clause = get_from_clause
    SQLCompiler.execute_sql = execute_sql
