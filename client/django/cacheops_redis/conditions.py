"""What a query depends on: for each table a disjunction of conjunctions `{attname: value}`.

Takes the place of `cacheops.tree.dnfs` and keeps its shape. What is returned for a table holds for every row of it
that can have a part in the result; so it may always be wider than the query, and never narrower:

* What is not understood is true. Negation is pushed down to the leaves first, so that widening stays widening.
* `IS NULL` on the side of an outer join that may be missing says nothing of any row there: the row need not exist.
* A value goes over a join's `a.x = b.y` to the other side; NULL does not.
* Of two values for one field either may stand, for the database may call them equal.
* Queries inside the query are queries: their tables count, wherever they stand.
* A model of multi-table inheritance reads its parents' tables.
"""

from __future__ import annotations

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

from . import tables

MAX_CONJUNCTIONS = 500  # of one WHERE
LONG_DISJUNCTION = 100  # of an IN, unless CACHEOPS_LONG_DISJUNCTION is set. The Lua scripts could afford 8


class Term(NamedTuple):
    alias: str
    field: str
    value: Any  # None is IS NULL


Conjunction = tuple  # of terms
TRUE: list[Conjunction] = [()]
NEVER: list[Conjunction] = []


Conditions = dict[str, list[dict[str, Any]]]


def dnfs(queryset: QuerySet) -> Conditions:
    return _conditions(queryset.query)


def _conditions(query: Query) -> Conditions:
    found: Conditions = defaultdict(list)
    for part in _with_subqueries(query):
        for table, disjunction in _query_conditions(part):
            found[table] += disjunction
    return {table: [{}] if not all(disjunction) else disjunction for table, disjunction in found.items()}


class LazyConditions(Mapping):
    """The conditions of a queryset, found out when somebody looks: a hit needs none."""

    def __init__(self, queryset: QuerySet):
        self._query: Query | None = queryset.query  # not the queryset, which will hold this
        self._conditions: Conditions = {}

    def _found(self) -> Conditions:
        if self._query is not None:
            self._conditions, self._query = _conditions(self._query), None
        return self._conditions

    def __getitem__(self, table: str) -> list[dict[str, Any]]:
        return self._found()[table]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found())

    def __len__(self) -> int:
        return len(self._found())

    def __reduce__(self) -> tuple:
        return dict, (self._found(),)


def _query_conditions(query: Query) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    nullable = {alias for alias, join in query.alias_map.items() if getattr(join, "join_type", None) == LOUTER}
    where = _Where(nullable).disjunction(query.where)
    over_joins = _equal_columns(query)
    conjunctions = [_spread(conjunction, over_joins) for conjunction in where]

    used = {alias: join.table_name for alias, join in query.alias_map.items() if query.alias_refcount.get(alias)}
    main = query.get_meta().db_table if query.model is not None else None
    if main is not None and main not in used.values():
        used.setdefault(main, main)
    for alias, table in used.items():
        yield table, [_of_alias(conjunction, alias) for conjunction in conjunctions]
    for table in getattr(query, "extra_tables", ()):
        yield str(table).strip('"`'), [{}]

    if query.model is not None:
        for parent in tables.concrete_parents(query.model._meta.concrete_model):
            table = parent._meta.db_table
            if table not in used.values():
                main_alias = next((alias for alias, name in used.items() if name == main), main)
                yield table, [_of_parent(query.model, parent, _of_alias(c, main_alias)) for c in conjunctions]


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

    def _lookup(self, lookup: Lookup, negated: bool) -> list[Conjunction]:
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


def _equal_columns(query: Query) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """`(alias, attname)` -> the same on the other sides of joins."""
    equal: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for join in query.alias_map.values():
        if not isinstance(join, Join) or not query.alias_refcount.get(join.table_alias):
            continue
        parent = query.alias_map.get(join.parent_alias)
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


def _of_parent(model: type, parent: type, values: dict[str, Any]) -> dict[str, Any]:
    """A condition on a child's row as one on its parent's: the keys are equal, other fields are not told."""
    link = model._meta.get_ancestor_link(parent)
    if link is None or link.related_model._meta.concrete_model is not parent:
        return {}
    key = values.get(link.attname)
    return {link.target_field.attname: key} if key is not None else {}


def _with_subqueries(query: Query) -> Iterator[Query]:
    seen: set[int] = set()
    waiting: list[Any] = [query]
    while waiting:
        node = waiting.pop()
        if node is None or isinstance(node, (str, bytes, int, bool)) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, QuerySet):
            node = node.query
        if isinstance(node, Query):
            if node.combined_queries:
                waiting += node.combined_queries
                continue
            yield node
            waiting += _parts(node)
        elif isinstance(node, WhereNode):
            waiting += node.children
        elif isinstance(node, (list, tuple, set, frozenset)):
            waiting += [part for part in node if hasattr(part, "resolve_expression") or hasattr(part, "query")]
        else:
            waiting += _sources(node)


def _parts(query: Query) -> Iterable[Any]:
    yield query.where
    yield from query.annotations.values()
    yield from query.select
    yield from (part for part in query.order_by if not isinstance(part, str))
    if isinstance(query.group_by, tuple):
        yield from query.group_by
    for join in query.alias_map.values():
        filtered = getattr(join, "filtered_relation", None)
        if filtered is not None:
            yield getattr(filtered, "resolved_condition", None)


def _sources(node: Any) -> Iterable[Any]:
    if isinstance(node, Lookup):
        yield from (node.lhs, node.rhs)
    if hasattr(node, "get_source_expressions"):
        yield from node.get_source_expressions()
    if isinstance(getattr(node, "query", None), Query):
        yield node.query
    if isinstance(getattr(node, "query_object", None), (Query, QuerySet)):  # SubqueryConstraint, before Django 5.2
        yield node.query_object
