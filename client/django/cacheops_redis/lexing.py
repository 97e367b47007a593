"""What each reader of SQL texts must know of a database: where comments end, and which texts move with the clock."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from django.utils.functional import Promise

# Comments that every database reads alike. PostgreSQL nests them and ends them at a carriage return. MySQL executes
# what is in `/*! */`, `/*M! */` and `/*+ */`, and `1--1` is an operation there.
_SPACE = r"[ \t\n\r\f\v]+ | --(?=[ \t\n\r\f\v]|$)[^\n\r]*\r?(?=\n|$) | /\*(?![!M+])(?:(?!/\*|\*/).)*\*/"

# What runs into a word is none: `1FROM` is two things for PostgreSQL, and a name for MySQL.
_NUMBER = r"(?: 0[xX][0-9a-fA-F]+ | [0-9][0-9_]* (?: \.[0-9]* )? (?: [eE][+-]?[0-9]+ )? ) (?![\w$])"


@cache
def compiled(pattern: str, vendor: str) -> re.Pattern[str]:
    """A verbose expression in which `{space}` is blanks and comments, and `{comment}` begins a comment that not every
    database reads alike, or a name between brackets, which only SQLite knows; `{number}` is a number."""
    comment = r"-- | /\*" + {"mysql": r" | \#", "sqlite": r" | \["}.get(vendor, "")
    for name, meaning in (("{space}", _SPACE), ("{comment}", comment), ("{number}", _NUMBER)):
        pattern = pattern.replace(name, meaning)
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


_MOVING_IN_SQLITE = frozenset(("now", "subsec", "subsecond"))
_LONGEST_TIME = 153  # characters of a literal that PostgreSQL reads as a time, without blanks
_DAYS = frozenset(("today", "tomorrow", "yesterday"))
# Days of the week, and words that mean nothing.
_BESIDE_NOW = frozenset(("now", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "at", "on"))
_WORD = re.compile("[A-Za-z]+")
_ELEMENTS = re.compile(r'[,;{}\[\]()"]')


def moves(text: str, vendor: str) -> bool:
    """Whether the database may read a text as the current time or day."""
    if vendor in ("mysql", "oracle"):
        return False  # no text is
    # In SQLite only its date functions do; a database that is not known may do either.
    return (vendor != "postgresql" and text.strip().lower() in _MOVING_IN_SQLITE) or (
        vendor != "sqlite" and _moves_in_postgresql(text)
    )


def _moves_in_postgresql(text: str) -> bool:
    """Also an array or a range of such. PostgreSQL ignores punctuation that it does not know."""
    is_list = text.lstrip().startswith(("{", "[", "("))
    if not is_list and len("".join(text.split())) > _LONGEST_TIME:
        return False
    if text.isascii() and any(word.lower() in _DAYS for word in _WORD.findall(text)):
        return True
    for element in _ELEMENTS.split(text):
        found = [word.lower() for word in _WORD.findall(element)]
        if "now" in found and all(word[:3] in _BESIDE_NOW for word in found):
            return True
    return False


def has_moving(value: Any, vendor: str) -> bool:
    """Whether a parameter is such a text, or has one in it: a list, a range, a document."""
    if isinstance(value, (str, Promise)):
        return moves(str(value), vendor)
    if isinstance(value, dict):
        return has_moving([*value.keys(), *value.values()], vendor)
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(has_moving(item, vendor) for item in value)
    # Ranges and documents as psycopg wraps them.
    parts = (getattr(value, name, None) for name in ("lower", "upper", "obj", "adapted"))
    return any(has_moving(part, vendor) for part in parts if isinstance(part, (str, dict, list, tuple)))
