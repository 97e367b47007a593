"""What a query depends on: for each table a disjunction of conjunctions `{attname: value}`.

Takes the place of `cacheops.tree.dnfs` and keeps its shape. What is returned for a table holds for every row of it
that can have a part in the result; so it may always be wider than the query, and never narrower:

* The compiled statement says which queries there are, and which tables each reads, for SELECT, ORDER BY, select_related
  and subqueries wherever they stand (compiled.py).
* What is not understood is true. Negation is pushed down to the leaves first, so that widening stays widening.
* `IS NULL` on the side of an outer join that may be missing says nothing of any row there: the row need not exist.
* A value goes over a join's `a.x = b.y` to the other side; NULL does not.
* Of two values for one field either may stand, for the database may call them equal.
* A table that raw SQL names may be read in any way. What is written past the ORM is not cached (`reason`).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.expressions import Col
from django.db.models.lookups import Exact, In, IsNull, Lookup
from django.db.models.sql import AND, OR
from django.db.models.sql.constants import LOUTER
from django.db.models.sql.datastructures import Join
from django.db.models.sql.query import Query
from django.db.models.sql.where import NothingNode, WhereNode

from . import lexing, seen, sqltext, tables
from .compiled import Select, Statement, compiled
from .conf import options

logger = logging.getLogger("cacheops_redis")

try:
    from django.db.models.fields.tuple_lookups import TupleExact, TupleIn
except ImportError:  # before Django 5.2 there are none, or none of this form

    class TupleExact: ...

    class TupleIn: ...


MAX_CONJUNCTIONS = 1000  # of one WHERE, as wire.MAX_CONJUNCTIONS
LONG_DISJUNCTION = 1001  # of an IN, unless CACHEOPS_LONG_DISJUNCTION is set. The Lua scripts could afford 8


class Term(NamedTuple):
    alias: str
    field: str
    value: Any  # None is IS NULL


Conjunction = tuple  # of terms
TRUE: list[Conjunction] = [()]
NEVER: list[Conjunction] = []


Conditions = dict[str, list[dict[str, Any]]]


class Dependencies(NamedTuple):
    conditions: Conditions
    reason: str | None
    """Why the result is not cached; None if it is."""


def dnfs(queryset: QuerySet) -> Conditions:
    return dependencies(compiled(queryset.query.get_compiler(queryset.db))).conditions


def dependencies(statement: Statement) -> Dependencies:
    found: Conditions = defaultdict(list)
    for select in statement.selects:
        try:
            for table, disjunction in list(_select_conditions(select)):
                found[table] += disjunction
        except Exception:  # of an application's own lookup or field, perhaps: the query has to run all the same
            logger.exception(
                "the condition of a query of %s is not understood, it depends on its tables", select.query.model
            )
            for table in select.tables.values():
                found[table.table_name] = [{}]
    conditions = {table: [{}] if not all(disjunction) else disjunction for table, disjunction in found.items()}

    vendor = statement.compiler.connection.vendor
    reading = sqltext.read(statement.sql, vendor, options().pure_functions)
    reason = reading.refused
    if reason is None and lexing.has_moving(statement.unclear, vendor):
        reason = "one of its values may be the current time or day"
    for names, raw in ((reading.marked, False), (reading.raw, True)):
        for name in names:
            relation = seen.relation(name, statement.compiler.connection)
            reason = reason or relation.reason
            for table in relation.tables if raw else relation.below:
                conditions[table] = [{}]
    model = statement.compiler.query.model
    if not conditions and model is not None:
        conditions[model._meta.concrete_model._meta.db_table] = [{}]  # no rows, whatever the table holds
    return Dependencies(conditions, reason)


class LazyConditions(Mapping):
    """The conditions of a queryset or a statement, found out when somebody looks: a hit needs none."""

    def __init__(self, source: QuerySet | Statement):
        # Not the queryset, which will hold this.
        self._source = source if isinstance(source, Statement) else (source.query, source.db)
        self._dependencies: Dependencies | None = None

    def _found(self) -> Dependencies:
        if self._dependencies is None:
            source = self._source
            if not isinstance(source, Statement):
                query, using = source
                source = compiled(query.get_compiler(using))
            self._dependencies, self._source = dependencies(source), None
        return self._dependencies

    @property
    def reason(self) -> str | None:
        return self._found().reason

    def __getitem__(self, table: str) -> list[dict[str, Any]]:
        return self._found().conditions[table]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found().conditions)

    def __len__(self) -> int:
        return len(self._found().conditions)

    def __reduce__(self) -> tuple:
        return dict, (self._found().conditions,)


def merged(all_of: Iterable[Mapping]) -> tuple[Conditions, str | None]:
    """What depends on several things together, and why it is not cached if one of them is not."""
    conditions: Conditions = {}
    reason = None
    for one in all_of:
        for table, disjunction in one.items():
            conditions[table] = conditions.get(table, []) + disjunction
        reason = reason or getattr(one, "reason", None)
    return conditions, reason


def _select_conditions(select: Select) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    nullable = {alias for alias, join in select.tables.items() if getattr(join, "join_type", None) == LOUTER}
    where = _Where(nullable).disjunction(select.query.where)
    over_joins = _equal_columns(select.tables)
    conjunctions = [_spread(conjunction, over_joins) for conjunction in where]
    for alias, table in select.tables.items():
        yield table.table_name, [_of_alias(conjunction, alias) for conjunction in conjunctions]


class _Where:
    """A WHERE tree as a disjunction of conjunctions of terms that are all asserted."""

    def __init__(self, nullable: set[str]):
        self.nullable = nullable

    def disjunction(self, node: Any, negated: bool = False) -> list[Conjunction]:
        if isinstance(node, WhereNode):
            return self._node(node, negated)
        if isinstance(node, NothingNode):
            return TRUE if negated else NEVER
        # A lookup of an application's own may compare in a way of its own.
        if isinstance(node, Lookup) and type(node).__module__.startswith("django.db.models."):
            return self._lookup(node, negated)
        return TRUE

    def _node(self, node: WhereNode, negated: bool) -> list[Conjunction]:
        if node.negated:
            negated = not negated
        if not node.children:
            return TRUE  # an empty node is no condition; were it a false one, to be wider is right
        if node.connector not in (AND, OR):
            return TRUE  # XOR
        # NOT (a AND b) is NOT a OR NOT b
        if (node.connector == AND) is not negated:
            return self._all(node.children, negated)
        return self._any(node.children, negated)

    def _any(self, children: Iterable[Any], negated: bool) -> list[Conjunction]:
        result: list[Conjunction] = []
        for child in children:
            result += self.disjunction(child, negated)
            if () in result or len(result) > MAX_CONJUNCTIONS:
                return TRUE
        return result

    def _all(self, children: Iterable[Any], negated: bool) -> list[Conjunction]:
        result = TRUE
        for child in children:
            terms = self.disjunction(child, negated)
            if terms == NEVER:
                return NEVER
            if len(result) * len(terms) <= MAX_CONJUNCTIONS:  # otherwise do without this child
                result = [left + right for left in result for right in terms]
        return result

    def _tuples(self, columns: Iterable[Any], rows: Any) -> list[Conjunction]:
        """`(a, b) IN ((1, 2), (3, 4))`"""
        if not isinstance(rows, (list, tuple)) or len(rows) >= MAX_CONJUNCTIONS:
            return TRUE
        columns, found = list(columns), []
        for row in rows:
            if not isinstance(row, (list, tuple)):
                return TRUE  # a subquery
            terms = [self._lookup(Exact(column, value), False) for column, value in zip(columns, row)]
            found.append(tuple(term for disjunction in terms for term in disjunction[0]))
        return TRUE if () in found else found

    def _lookup(self, lookup: Lookup, negated: bool) -> list[Conjunction]:
        if isinstance(lookup, (TupleExact, TupleIn)):  # also a key of several columns
            rows = lookup.rhs if isinstance(lookup, TupleIn) else [lookup.rhs]
            return TRUE if negated else self._tuples(lookup.lhs, rows)
        column, value = lookup.lhs, lookup.rhs
        if not isinstance(column, Col) or not hasattr(column.target, "attname"):
            return TRUE
        alias, field = column.alias, column.target.attname
        if isinstance(lookup, IsNull):
            if bool(value) is negated or alias in self.nullable:
                return TRUE
            return [(Term(alias, field, None),)]
        if negated or isinstance(value, (QuerySet, Query)) or hasattr(value, "resolve_expression"):
            return TRUE
        if isinstance(lookup, Exact):
            return TRUE if value is None else [(Term(alias, field, value),)]
        if isinstance(lookup, In):
            values = [one for one in value if one is not None]
            if len(values) >= getattr(settings, "CACHEOPS_LONG_DISJUNCTION", LONG_DISJUNCTION):
                return TRUE
            if any(hasattr(one, "resolve_expression") for one in values):
                return TRUE
            return [(Term(alias, field, one),) for one in values]
        return TRUE


def _equal_columns(aliases: Mapping[str, Any]) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """`(alias, attname)` -> the same on the other sides of joins."""
    equal: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for join in aliases.values():
        if not isinstance(join, Join):
            continue
        parent = aliases.get(join.parent_alias)
        if parent is None:
            continue
        for parent_column, column in join.join_cols:
            left = _name(parent.table_name, parent_column)
            right = _name(join.table_name, column)
            if left and right:
                equal[join.parent_alias, left].append((join.table_alias, right))
                equal[join.table_alias, right].append((join.parent_alias, left))
    return equal


def _name(table: str, column: str) -> str | None:
    field = tables.by_column(table).get(column)
    return field and field.attname


def _spread(conjunction: Conjunction, equal: dict[tuple[str, str], list[tuple[str, str]]]) -> Conjunction:
    if not equal:
        return conjunction
    terms = list(conjunction)
    seen = {(term.alias, term.field) for term in terms}
    for term in terms:  # grows
        if term.value is None:
            continue
        for alias, field in equal.get((term.alias, term.field), ()):
            if (alias, field) not in seen:
                seen.add((alias, field))
                terms.append(Term(alias, field, term.value))
    return tuple(terms)


def _of_alias(conjunction: Conjunction, alias: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for term in conjunction:
        if term.alias == alias:
            values.setdefault(term.field, term.value)
    return values
