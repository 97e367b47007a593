"""What each reader of SQL texts must know of a database: where comments end, and which texts move with the clock."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from django.utils.functional import Promise

# Comments that every database reads alike. PostgreSQL nests them and ends them at a carriage return. MySQL executes
# what is in `/*! */`, `/*M! */` and `/*+ */`, and `1--1` is an operation there.
_SPACE = r"[ \t\n\r\f\v]+ | --(?=[ \t\n\r\f\v]|$)[^\n\r]*\r?(?=\n|$) | /\*(?![!M+])(?:(?!/\*|\*/).)*\*/"


@cache
def compiled(pattern: str, vendor: str) -> re.Pattern[str]:
    """A verbose expression in which `{space}` is blanks and comments, and `{comment}` begins a comment that not every
    database reads alike."""
    comment = r"-- | /\* | \#" if vendor == "mysql" else r"-- | /\*"
    return re.compile(pattern.replace("{space}", _SPACE).replace("{comment}", comment), re.VERBOSE | re.DOTALL)


_LONGEST_TIME = 153  # characters of a literal that PostgreSQL reads as a time, without blanks
_DAYS = frozenset(("today", "tomorrow", "yesterday"))
# Days of the week, and words that mean nothing.
_BESIDE_NOW = frozenset(("now", "mon", "tue", "wed", "thu", "fri", "sat", "sun", "at", "on"))
_WORD = re.compile("[A-Za-z]+")
_ELEMENTS = re.compile(r'[,;{}\[\]()"]')


def moves(text: str) -> bool:
    """Whether PostgreSQL may read a text as the current time or day, or as an array or range of such.

    It ignores punctuation that it does not know.
    """
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


def has_moving(value: Any) -> bool:
    """Whether a parameter is such a text, or has one in it: a list, a range, a document."""
    if isinstance(value, (str, Promise)):
        return moves(str(value))
    if isinstance(value, dict):
        return any(has_moving(item) for pair in value.items() for item in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(has_moving, value))
    # Ranges and documents as psycopg wraps them.
    parts = (getattr(value, name, None) for name in ("lower", "upper", "obj", "adapted"))
    return any(has_moving(part) for part in parts if isinstance(part, (str, dict, list, tuple)))
