"""Values as the server compares them: bytes, in the forms of docs/values.md, which all programs share.

The law: two values that the database may call equal must have the same bytes here, or be `UNKNOWN`. To give the same
bytes to different values only invalidates too much; to give different bytes to equal values leaves stale results. So
what has no sure form is `UNKNOWN`: a query does not narrow its condition by it, and a row leaves it out.
"""

from __future__ import annotations

import datetime
import hashlib
import uuid
from decimal import Decimal
from functools import cache, lru_cache
from typing import Union

from django.core.signals import setting_changed
from django.db import connections
from django.db.models import DecimalField, Field

from . import folding
from .conf import options

UNKNOWN = object()
Canonical = Union[bytes, None, object]  # bytes, None for NULL, UNKNOWN

MAX_EXACT_FLOAT = 2**53
MAX_EXACT_DIGITS = 15  # more of them than a double has, and SQLite makes one of a decimal
MAX_DIGITS = 64
MAX_PLAIN_BYTES = 64  # longer forms are hashed

# What these hold has a form: numbers, truth values, texts, UUIDs, days. Times, durations, JSON, bytes and fields of
# another base have none.
_KINDS = {
    "AutoField",
    "BigAutoField",
    "BigIntegerField",
    "BooleanField",
    "CharField",
    "DateField",
    "DecimalField",
    "FileField",
    "FilePathField",
    "FloatField",
    "GenericIPAddressField",
    "IntegerField",
    "NullBooleanField",
    "PositiveBigIntegerField",
    "PositiveIntegerField",
    "PositiveSmallIntegerField",
    "SlugField",
    "SmallAutoField",
    "SmallIntegerField",
    "TextField",
    "UUIDField",
}


def target(field: Field) -> Field:
    """The field that a foreign key's values are of, or the field itself."""
    while field.remote_field is not None and hasattr(field, "target_field") and field.target_field is not field:
        field = field.target_field
    return field


def granular(field: Field) -> bool:
    """Can a condition be narrowed by this field, that is: has its value in the database a form that we know?"""
    if getattr(field, "generated", False):
        return False  # the database computes it, an instance in memory holds the old value
    field = target(field)
    kind = field.get_internal_type()
    if kind == "GenericIPAddressField" and "postgresql" in _vendors():
        return False  # an inet, which has many spellings
    return kind in _KINDS and not getattr(field, "db_collation", None)


def canonical(field: Field | None, value) -> Canonical:
    """The bytes of a prepared value (`field.get_prep_value`), None for NULL, UNKNOWN if there are none."""
    if value is None:
        return None
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, int):
        return _plain(b"%d" % value)
    if isinstance(value, str):
        return _text(str.__str__(value))  # the text itself, also of an enum's member
    if isinstance(value, Decimal):
        return _decimal(field, value)
    if isinstance(value, float):
        return b"%d" % value if value.is_integer() and abs(value) < MAX_EXACT_FLOAT else UNKNOWN
    if isinstance(value, uuid.UUID):
        return value.hex.encode()
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat().encode()
    return UNKNOWN


@lru_cache(maxsize=4096)
def name(spelled: str) -> str:
    """The name of a table or column in a condition: that of the catalogue, in lower case where case does not count.

    Where databases of several kinds are in use, it is as it is spelled: only what other programs send may then miss it.
    """
    vendors = _vendors()
    if vendors <= {"sqlite"}:
        return "".join(c.lower() if c.isascii() else c for c in spelled)
    if vendors <= {"mysql"}:
        return "".join(c.lower()[:1] for c in spelled)
    if vendors <= {"postgresql"}:
        return spelled.encode()[:63].decode(errors="ignore")
    return spelled


def _decimal(field: Field | None, value: Decimal) -> Canonical:
    if not value.is_finite() or abs(value.adjusted()) > MAX_DIGITS or len(value.as_tuple().digits) > MAX_DIGITS:
        return UNKNOWN
    field = field and target(field)
    form, _ = folding.number(format(value, "f"))
    fraction = form.partition(b".")[2]
    # The database rounds what has too many places, each in its own way.
    if isinstance(field, DecimalField) and len(fraction) > (field.decimal_places or 0):
        return UNKNOWN
    if fraction and len(form.lstrip(b"-0.")) > MAX_EXACT_DIGITS and not _exact_decimals():
        return UNKNOWN
    return _plain(form)


def _text(text: str) -> Canonical:
    if not folding.is_assigned(text):
        return UNKNOWN
    folded = folding.fold(text)
    if _oracle() and not text:
        return UNKNOWN  # there the empty text is NULL
    if _has_a_language() and folding.is_tailored(text):
        return UNKNOWN
    known = folding.uuid(folded) or folding.TRUTHS.get(folded)
    if known is not None:
        return known
    form, is_number = folding.number(folded)
    if is_number:
        return UNKNOWN if form is None else _plain(form)
    if _has_a_language() and not folded.isascii():
        return UNKNOWN  # which other characters are equal is up to each collation
    return _plain(folded.encode())


def _plain(form: bytes) -> bytes:
    if len(form) > MAX_PLAIN_BYTES:
        return b"h:" + hashlib.sha256(form).hexdigest()[:32].encode()
    return form


@cache
def _vendors() -> frozenset:
    return frozenset(connections[alias].vendor for alias in connections)


@cache
def _has_a_language() -> bool:
    """Does a collation decide which letters are equal, beyond case and accents?"""
    chosen = options().FOLD_TEXT
    return bool(_vendors() - {"sqlite", "postgresql", "oracle"}) if chosen is None else chosen


@cache
def _exact_decimals() -> bool:
    return _vendors() <= {"postgresql", "mysql", "oracle"}


@cache
def _oracle() -> bool:
    return "oracle" in _vendors()


def forget() -> None:
    """What was found out of the databases."""
    for cached in (_vendors, _has_a_language, _exact_decimals, _oracle, name):
        cached.cache_clear()


def _changed(setting: str, **_kwargs) -> None:
    if setting in ("CACHEOPS_MODULE", "DATABASES"):
        forget()


setting_changed.connect(_changed, weak=False)
