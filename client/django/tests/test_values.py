"""The law of canonical values: what the database calls equal has equal bytes here, or none at all."""

import contextlib
import datetime
import itertools
import json
import re
import sys
import unicodedata
import uuid
from decimal import Decimal
from enum import Enum
from pathlib import Path
from unittest import mock

import pytest
from django.db import models
from django.test import override_settings
from shop.models import Article

from cacheops_redis import canonical as module
from cacheops_redis import unicode14, wire
from cacheops_redis.canonical import UNKNOWN, canonical, granular

VECTORS = Path(__file__).parents[3] / "docs/values.txt"
UTC = datetime.timezone.utc
NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=UTC)


class Colour(str, Enum):
    RED = "red"


class Level(models.IntegerChoices):
    LOW = 1


# For each field: values as a program may write them. Those that the database calls equal must have equal bytes.
VALUES = {
    "number": [0, 1, -1, True, "1", "01", 1.0, Decimal("1"), 2**31 - 1],
    "price": ["1", "1.0", "1.00", "01.10", "1.1", 1.1, "-0", "0", "0.00", 0, "1e1", "10", 10.0, "1E+1"],
    "weight": [0.0, -0.0, 1.0, 1, 0.5, "0.5", 1e20, 10**20],
    "title": ["", "a", "A", "a ", " a", "1", "01", "1.0", "é", "e\u0301", "x" * 70, "x" * 70 + " ", Colour.RED, "red"],
    "published": [
        NOON,
        NOON.astimezone(datetime.timezone(datetime.timedelta(hours=-5))),
        NOON.replace(microsecond=1),
        "2026-01-01T12:00:00Z",
        "2026-01-01 13:00:00+01:00",
    ],
    "day": [NOON.date(), "2026-01-01", NOON, datetime.date(999, 1, 1)],
    "at": [datetime.time(1, 2), "01:02:00", "01:02:00.000000", datetime.time(1, 2, 0, 1)],
    "lasts": [
        datetime.timedelta(days=1),
        datetime.timedelta(hours=24),
        datetime.timedelta(microseconds=1),
    ],
    "code": [uuid.UUID(int=7), str(uuid.UUID(int=7)), uuid.UUID(int=7).hex.upper(), uuid.UUID(int=8)],
    "visible": [True, False, 1, "1", "False", 0],
}


@contextlib.contextmanager
def vendor_of(engine):
    """As if DATABASES were of this engine alone."""
    vendors = mock.Mock(return_value=frozenset([engine.replace("sqlite3", "sqlite")]))
    module.forget()
    with mock.patch.object(module, "_vendors", vendors):
        yield
    module.forget()


def prepared(name, value):
    field = Article._meta.get_field(name)
    return field.get_prep_value(value)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", VALUES)
def test_what_is_equal_in_the_database_has_equal_bytes(name):
    field = Article._meta.get_field(name)
    split = []
    for stored in VALUES[name]:
        Article.objects.all()._raw_delete("default")
        Article(pk=1, **{name: stored}).save_base(raw=True)
        row = Article.objects.nocache().get(pk=1)
        for asked in VALUES[name]:
            if not Article.objects.nocache().filter(**{name: asked}).exists():
                continue
            one, other = canonical(field, prepared(name, stored)), canonical(field, prepared(name, asked))
            from_row = canonical(field, prepared(name, getattr(row, name)))
            for left, right in itertools.combinations((one, other, from_row), 2):
                if UNKNOWN not in (left, right) and left != right:
                    split.append((stored, asked, left, right))
    assert split == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, b"1"),
        (-5, b"-5"),
        (126822486837821999, b"126822486837821999"),
        (Level.LOW, b"1"),
        (Colour.RED, b"red"),
        ("x" * 64, b"x" * 64),
        (Decimal("-0.00"), b"0"),
        (Decimal("1E+2"), b"100"),
        (Decimal("1E+99"), UNKNOWN),
        (Decimal("NaN"), UNKNOWN),
        (1.5, UNKNOWN),
        (float("inf"), UNKNOWN),
        (float(2**60), UNKNOWN),
        (b"bytes", UNKNOWN),
        ([1], UNKNOWN),
        (object(), UNKNOWN),
        (NOON, UNKNOWN),
        (NOON.replace(tzinfo=None), UNKNOWN),
        (datetime.time(1), UNKNOWN),
        (datetime.timedelta(days=1), UNKNOWN),
        ("\ud800", UNKNOWN),
    ],
)
def test_forms(value, expected):
    assert canonical(None, value) == expected


def unquoted(text):
    return re.sub(r"\\u\{([0-9a-f]+)\}", lambda match: chr(int(match[1], 16)), text[1:-1])


# A type of docs/values.txt, and how Django has such a value.
TYPES = {
    "text": str,
    "int": int,
    "bool": lambda text: text == "true",
    "decimal": Decimal,
    "float": float,
    "uuid": uuid.UUID,
    "date": datetime.date.fromisoformat,
    "null": lambda text: None,
    "datetime": datetime.datetime.fromisoformat,
    "time": datetime.time.fromisoformat,
    "bytes": str.encode,
    "json": json.loads,
}


@pytest.mark.parametrize("engine", ["postgresql", "sqlite3", "mysql"])
def test_values_have_the_forms_that_all_programs_share(engine):
    lines = [line.split("\t") for line in VECTORS.read_text().splitlines() if line and line[0] != "#"]
    wrong, given = [], 0
    with vendor_of(engine):
        for kind, value, form, on_mysql in lines:
            expected = on_mysql if engine == "mysql" else form
            expected = {"-": UNKNOWN, "NULL": None}.get(expected, unquoted(expected).encode())
            found = canonical(None, TYPES[kind](unquoted(value)))
            given += found is not UNKNOWN
            if kind == "bytes" and found is UNKNOWN:
                continue  # to have none is right too
            if found != expected:
                wrong.append((kind, value, expected, found))
    assert wrong == []
    assert given > 100


def test_a_kind_of_field_without_a_form_narrows_nothing():
    class Json(models.JSONField):
        pass

    class Own(models.Field):
        pass

    times = (models.DurationField(), models.DateTimeField(), models.TimeField())
    for field in (*times, models.JSONField(), Json(), models.BinaryField(), Own()):
        assert not granular(field)
    for field in (models.SlugField(), models.EmailField(), models.URLField(), models.FileField(), models.UUIDField()):
        assert granular(field)


def test_more_places_than_the_column_has():
    assert canonical(Article._meta.get_field("price"), Decimal("1.005")) is UNKNOWN


def test_texts_of_a_collation_that_is_not_known():
    with override_settings(CACHEOPS_MODULE={"FOLD_TEXT": True}):
        assert canonical(None, "Straße") is UNKNOWN
        assert canonical(None, "Grün") is UNKNOWN
        assert canonical(None, "Café ") == b"cafe"
    assert canonical(None, "Straße") == "straße".encode()


@pytest.mark.parametrize(
    ("engine", "table", "column"),
    [
        ("postgresql", "Shop_Article", "authorId"),
        ("sqlite3", "shop_article", "authorid"),
        ("mysql", "shop_article", "authorid"),
    ],
)
def test_names_are_those_of_the_catalogue(engine, table, column):
    with vendor_of(engine):
        assert wire.name("Shop_Article") == table
        assert wire.name("authorId") == column
    with vendor_of("sqlite3"):
        assert wire.name("Größe_Ä") == "größe_Ä"
    with vendor_of("postgresql"):
        assert wire.name("x" * 62 + "é") == "x" * 62


def test_conditions_are_escaped():
    assert wire.conjunction("shop_article", {"title": "a&b|c=d%"}) == b"title=a%26b%7Cc%3Dd%25"
    assert wire.conjunction("shop_article", {"title": "*"}) == b"title=*"
    assert wire.conjunction("shop_article", {"title": "", "number": None}) == b"number&title="


def test_what_cannot_be_told_is_left_out():
    assert wire.conjunction("shop_article", {"weight": 0.5, "text": "long", "nothing": 1, "number": 3}) == b"number=3"
    assert wire.conjunction("shop_article", {"weight": 0.5}) == b"*"
    assert wire.conjunction("no_such_table", {"id": 3}) == b"*"


def test_a_condition_with_too_many_parts_is_any_row():
    many = [{"number": number} for number in range(2000)]
    assert wire.condition("shop_article", many[:3]) == b"number=0|number=1|number=2"
    assert wire.condition("shop_article", many) == b"*"
    assert wire.condition("shop_article", [*many[:3], {}]) == b"*"
    assert wire.condition("shop_article", []) == b"*"


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="the interpreter's tables are of another version")
def test_the_characters_that_have_a_form_are_those_of_unicode_14():
    for character in map(chr, range(sys.maxunicode + 1)):
        assert unicode14.is_assigned(character) == (unicodedata.category(character) not in ("Cn", "Cs"))
