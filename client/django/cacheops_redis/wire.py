"""Conditions and rows as the commands take them (COMMANDS.md: Conditions, Rows). Fields are named by their columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from . import tables
from .canonical import UNKNOWN, canonical, name

ANY = b"*"
MAX_TERMS = 16  # cacheops.max-terms unless set
MAX_CONJUNCTIONS = 1000  # cacheops.max-conjunctions is 1024 unless set

_VALUE = re.compile(rb"[%&|=]")
_FIELD = re.compile(rb"[%&|=<>!~(),*@$]")


def escape_value(value: bytes) -> bytes:
    return _VALUE.sub(_percent, value)


def escape_field(field: str) -> bytes:
    return _FIELD.sub(_percent, field.encode())


def conjunction(table: str, values: Mapping[str, object], limit: int | None = MAX_TERMS) -> bytes:
    """`{attname: prepared value}` as text. What is unknown is left out: it then stands for anything."""
    fields = tables.by_name(table)
    terms = []
    for attribute in sorted(values):
        field = fields.get(attribute)
        value = UNKNOWN if field is None else canonical(field, values[attribute])
        if value is UNKNOWN:
            continue
        column = escape_field(name(field.column))
        terms.append(column if value is None else column + b"=" + escape_value(value))
    return b"&".join(terms[:limit]) or ANY


def condition(table: str, disjunction: Iterable[Mapping[str, object]]) -> bytes:
    conjunctions = {conjunction(table, values) for values in disjunction}
    # A query that can match no row at all has no conjunction. It depends on nothing; `*` is the nearest.
    if not conjunctions or ANY in conjunctions or len(conjunctions) > MAX_CONJUNCTIONS:
        return ANY
    return b"|".join(sorted(conjunctions))


def conditions(prefix: str, cond_dnfs: Mapping[str, Iterable[Mapping[str, object]]]) -> list[bytes]:
    """The arguments behind ON. A prefix is a namespace of tables, as it is one of keys."""
    pairs: list[bytes] = []
    room = MAX_CONJUNCTIONS
    for table, disjunction in sorted(cond_dnfs.items()):
        text = condition(table, disjunction)
        room -= text.count(b"|") + 1
        pairs += [name(prefix + table).encode(), text if room > 0 else ANY]
    return pairs


def row(table: str, values: Mapping[str, object]) -> bytes:
    return conjunction(table, values, limit=None)


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]
