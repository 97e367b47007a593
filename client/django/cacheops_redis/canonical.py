"""Values as the server compares them: bytes.

The law: two values that the database may call equal must have the same bytes here, or be `UNKNOWN`. To give the same
bytes to different values only invalidates too much; to give different bytes to equal values leaves stale results. So
what has no sure form is `UNKNOWN`: a query does not narrow its condition by it, and a row leaves it out.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import uuid
from decimal import Decimal
from functools import cache
from typing import Union

from django.conf import settings
from django.core.signals import setting_changed
from django.db import connections
from django.db.models import DecimalField, DurationField, Field

from .conf import options

UNKNOWN = object()
Canonical = Union[bytes, None, object]  # bytes, None for NULL, UNKNOWN

MAX_EXACT_FLOAT = 2**53
MAX_DIGITS = 64
MAX_PLAIN_BYTES = 64  # longer texts are hashed

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?", re.ASCII)
_PRINTABLE_ASCII = re.compile(r"[ -~]*")
_EXACT_TEXT_VENDORS = {"sqlite", "postgresql"}


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
    return not (getattr(field, "db_collation", None) or field.get_internal_type().startswith("CI"))


def canonical(field: Field | None, value) -> Canonical:
    """The bytes of a prepared value (`field.get_prep_value`), None for NULL, UNKNOWN if there are none."""
    if value is None:
        return None
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, str):
        if isinstance(field, DurationField):
            return UNKNOWN  # not prepared by the field, and PostgreSQL reads intervals of many forms
        return _text(str.__str__(value))  # the text itself, also of an enum's member
    if isinstance(value, Decimal):
        return _decimal(field, value)
    if isinstance(value, float):
        return b"%d" % value if value.is_integer() and abs(value) < MAX_EXACT_FLOAT else UNKNOWN
    if isinstance(value, uuid.UUID):
        return value.hex.encode()
    if isinstance(value, datetime.datetime):
        return _datetime(value)
    if isinstance(value, datetime.date):
        return value.isoformat().encode()
    if isinstance(value, datetime.time):
        return value.isoformat().encode() if value.tzinfo is None and _exact_times() else UNKNOWN
    if isinstance(value, datetime.timedelta):
        return b"%d" % (value // datetime.timedelta(microseconds=1))
    return UNKNOWN


def _decimal(field: Field | None, value: Decimal) -> Canonical:
    if not value.is_finite() or abs(value.adjusted()) > MAX_DIGITS or len(value.as_tuple().digits) > MAX_DIGITS:
        return UNKNOWN
    field = field and target(field)
    digits = format(value, "f")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
        fraction = digits.partition(".")[2]
        # The database rounds what has too many places, each in its own way.
        if isinstance(field, DecimalField) and len(fraction) > (field.decimal_places or 0):
            return UNKNOWN
    return b"0" if digits in ("-0", "") else digits.encode()


def _text(text: str) -> Canonical:
    text = text.rstrip(" ")
    if _NUMBER.fullmatch(text):
        return _decimal(None, Decimal(text))
    if _oracle() and not text:
        return UNKNOWN  # there the empty text is NULL
    if _folds_text():
        if not _PRINTABLE_ASCII.fullmatch(text):
            return UNKNOWN  # accents and ligatures are equal to other letters, in ways of each collation
        text = text.lower()
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > MAX_PLAIN_BYTES:
        return b"h:" + hashlib.blake2b(data, digest_size=16).hexdigest().encode()
    return data


def _datetime(value: datetime.datetime) -> Canonical:
    if not _exact_times():
        return UNKNOWN
    if (value.tzinfo is None) is bool(settings.USE_TZ):
        return UNKNOWN  # the time zone of the connection decides what it means
    if value.tzinfo is not None:
        try:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        except OverflowError:
            return UNKNOWN
    return value.isoformat().encode()


@cache
def _vendors() -> frozenset:
    return frozenset(connections[alias].vendor for alias in connections)


@cache
def _folds_text() -> bool:
    chosen = options().FOLD_TEXT
    return bool(_vendors() - _EXACT_TEXT_VENDORS - {"oracle"}) if chosen is None else chosen


@cache
def _exact_times() -> bool:
    """Do all databases keep microseconds? In MySQL the number of digits is up to each column."""
    return _vendors() <= {"sqlite", "postgresql"}


@cache
def _oracle() -> bool:
    return "oracle" in _vendors()


def _forget(setting: str, **_kwargs) -> None:
    if setting in ("CACHEOPS_MODULE", "DATABASES"):
        for cached in (_vendors, _folds_text, _exact_times, _oracle):
            cached.cache_clear()


setting_changed.connect(_forget, weak=False)
