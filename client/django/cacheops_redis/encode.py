"""Values as bytes for keys: typed and injective.

Two values have the same bytes only if they are of one type and equal, so no text that a user sends can make one query
look like another: every part has its length in front of it, and `1`, `"1"` and `True` have different marks. A model's
instance is its model, its key and its database; a request is its URI, as in cacheops; a queryset is its rows.

What has no such form raises `NoKey`: an unsaved instance, an object whose only text is its address, what cannot be
pickled. The caller then does without the cache. An address is used again when an object is gone, so a key that contains
one is sooner or later the key of another object.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import io
import pickle
import types
import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django.db.models import Model, QuerySet
from django.utils.functional import Promise

DIGEST_BYTES = 20  # collisions cannot be searched for; 16 would be enough for accidents


class NoKey(Exception):
    """A value has no bytes of its own. The text says which value, and why."""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).digest()[:DIGEST_BYTES].hex()


def part(mark: bytes, data: bytes) -> bytes:
    return b"%b%d:%b" % (mark, len(data), data)


def sequence(mark: bytes, parts: Iterable[bytes]) -> bytes:
    return part(mark, b"".join(parts))


def text(value: str) -> bytes:
    return part(b"s", value.encode("utf-8", "surrogatepass"))


def path(kind: Any) -> str:
    """The name by which a class or function is imported. One that was made inside of a function has none."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if "<locals>" in name:
        raise NoKey(f"{name} is defined inside of a function, so another one may have the same name")
    return name


def encode(value: Any) -> bytes:
    encoder = _ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value)
    return _other(value)


def _other(value: Any) -> bytes:
    if isinstance(value, Promise):
        return part(b"z", text(str(value)))
    if isinstance(value, Model):  # also a lazy object that stands for one
        return _instance(value)
    if isinstance(value, QuerySet):
        return part(b"Q", text(value.model._meta.label) + _items(value))
    if hasattr(value, "build_absolute_uri"):
        return text(value.build_absolute_uri())
    if isinstance(value, type):
        return part(b"c", text(path(value)))
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
        return part(b"p", text(path(value)))
    if isinstance(value, types.MethodType):
        return part(b"m", encode(value.__func__) + encode(value.__self__))
    if isinstance(value, types.ModuleType):
        return part(b"o", text(value.__name__))
    if isinstance(value, functools.partial):
        return part(b"a", encode(value.func) + encode(value.args) + encode(value.keywords))
    for base in (str, int, float, bytes):
        # An enum's member, SafeString, the numbers of psycopg: the class counts, since it may decide what is done.
        if isinstance(value, base) and not _has_state(value, base):
            return part(b"e", text(path(type(value))) + _ENCODERS[base](value))
    return _pickled(value)


def _has_state(value: Any, base: type) -> bool:
    state = getattr(value, "__dict__", None)
    return bool(state) and not set(state) <= {"_value_", "_name_", "__objclass__", "_sort_order_"}


def _instance(instance: Model) -> bytes:
    meta = instance._meta
    key = instance.pk
    if key is None or instance._state.adding or (isinstance(key, tuple) and None in key):
        raise NoKey(f"an instance of {meta.label} that is not saved has no key of its own")
    return part(b"M", text(meta.label) + encode(key) + encode(instance._state.db))


def _items(values: Iterable[Any]) -> bytes:
    return b"".join([encode(value) for value in values])


def _mapping(values: dict) -> bytes:
    return b"".join(sorted(encode(key) + encode(value) for key, value in values.items()))


def _datetime(value: datetime.datetime) -> bytes:
    zone = value.tzinfo and f"{path(type(value.tzinfo))} {value.tzinfo} {value.utcoffset()}"
    return part(b"D", text(value.isoformat()) + encode(value.fold) + encode(zone))


_ENCODERS = {
    type(None): lambda value: b"n",
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: part(b"i", b"%d" % value),
    float: lambda value: part(b"r", float.hex(value).encode()),
    complex: lambda value: part(b"x", repr(value).encode()),
    str: lambda value: text(str.__str__(value)),
    bytes: lambda value: part(b"b", bytes(value)),
    bytearray: lambda value: part(b"B", bytes(value)),
    memoryview: lambda value: part(b"v", bytes(value)),
    Decimal: lambda value: part(b"d", str(value).encode()),
    uuid.UUID: lambda value: part(b"u", value.bytes),
    datetime.datetime: _datetime,
    datetime.date: lambda value: part(b"y", value.isoformat().encode()),
    datetime.time: lambda value: part(b"h", f"{value.isoformat()} {value.fold} {value.tzinfo}".encode()),
    datetime.timedelta: lambda value: part(b"g", repr(value).encode()),
    tuple: lambda value: part(b"T", _items(value)),
    list: lambda value: part(b"L", _items(value)),
    dict: lambda value: part(b"K", _mapping(value)),
    set: lambda value: part(b"S", b"".join(sorted(map(encode, value)))),
    frozenset: lambda value: part(b"F", b"".join(sorted(map(encode, value)))),
}


class _Pickler(pickle.Pickler):
    """Pickles what an object is made of, with `encode` where that is stricter."""

    def persistent_id(self, value: Any) -> bytes | None:
        if isinstance(value, (Model, QuerySet, Promise)) or hasattr(value, "build_absolute_uri"):
            return encode(value)
        if shown_by_address(value):
            raise NoKey(
                f"an object of {type(value).__module__}.{type(value).__qualname__} is shown by its address only"
            )
        return None


def shown_by_address(value: Any) -> bool:
    kind = type(value)
    return (
        kind.__repr__ is object.__repr__
        and kind.__str__ is object.__str__
        and not isinstance(value, (type, types.ModuleType))
    )


def _pickled(value: Any) -> bytes:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, protocol=4).dump(value)
    except NoKey:
        raise
    except Exception as error:
        raise NoKey(f"an object of {kind} cannot be pickled: {error}") from error
    return part(b"P", text(kind) + part(b"b", buffer.getvalue()))
