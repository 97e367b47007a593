"""Parameters that a statement only compares with a column of texts.

A database may read a text such as `now` as the current time (lexing.py), and which texts it reads so is decided by what
stands beside the parameter. Beside a column of texts it is a text. This is known of the lookups that come with Django,
on a column that Django has made; of raw SQL, of other expressions and of an application's own lookups it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.db.models.expressions import Col
from django.db.models.functions import Lower, LTrim, RTrim, Trim, Upper
from django.db.models.lookups import Lookup

_TEXT_TYPE = re.compile(r"(?:(?:var)?char|character varying|text|citext)(?:\s*\(\d+\))?", re.IGNORECASE)
_OF_TEXT = (Lower, Upper, Trim, LTrim, RTrim)


class ComparedText(str):
    """Stands for such a parameter while Django compiles a statement."""

    original: str

    def __new__(cls, original: str) -> ComparedText:
        text = str.__new__(cls, str.__str__(original))
        text.original = original
        return text


def marked(node: Any, params: Iterable[Any], connection: Any) -> Iterable[Any]:
    """The parameters of a compiled node, as `ComparedText` where they are."""
    if not params or not isinstance(node, Lookup) or not _compares_texts(node, connection):
        return params
    return type(params)([ComparedText(one) if isinstance(one, str) else one for one in params])


def _compares_texts(lookup: Lookup, connection: Any) -> bool:
    if not type(lookup).__module__.startswith("django.db.models."):
        return False
    values = lookup.rhs if isinstance(lookup.rhs, (list, tuple, set, frozenset)) else [lookup.rhs]
    return _is_text(lookup.lhs, connection) and not any(
        hasattr(value, "as_sql") or hasattr(value, "resolve_expression") for value in values
    )


def _is_text(expression: Any, connection: Any) -> bool:
    while type(expression) in _OF_TEXT:
        (expression,) = expression.get_source_expressions()
    if type(expression) is not Col:
        return False
    field = expression.target
    # What an unmanaged model stands for was made by others.
    if not field.model._meta.managed:
        return False
    return _TEXT_TYPE.fullmatch(field.db_type(connection) or "") is not None
