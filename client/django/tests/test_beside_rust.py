"""A Django site and a Rust service on one database and one server: each one's writes invalidate the other's entries.

The service is the example `beside` of cacheops-sea-orm, which answers line by line.
"""

import datetime
import functools
import json
import os
import shutil
import subprocess
import uuid
from decimal import Decimal
from pathlib import Path

import pytest
from bridge_settings import BRIDGE
from django.db import connection
from django.test.utils import CaptureQueriesContext
from shop.models import Article

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not BRIDGE, reason="is about the bridge"),
    pytest.mark.skipif(shutil.which("cargo") is None, reason="the service is built with cargo"),
]

ROOT = Path(__file__).parents[3]
CODE = uuid.UUID("5f3c0a9e-8d1b-4c2a-9e7f-0123456789ab")

# A field, a value of it, and the constant by which SQL knows the same value.
VALUES = [
    ("title", "plain", "'plain'"),
    ("title", "Bob", "'Bob'"),
    ("title", "\u00c9lan \ufb01 \u03a3\u03c2", "'\u00c9lan \ufb01 \u03a3\u03c2'"),
    ("title", "na\u0308ive", "'na\u0308ive'"),
    ("title", "007", "'007'"),
    ("title", "1.50", "'1.50'"),
    ("title", "1e3", "'1e3'"),
    ("title", "Yes", "'Yes'"),
    ("title", str(CODE).upper(), f"'{str(CODE).upper()}'"),
    ("title", "a&b|c=d%25*", "'a&b|c=d%25*'"),
    ("title", "X" * 70, f"'{'X' * 70}'"),
    ("title", "\u65e5" * 30, f"'{chr(0x65E5) * 30}'"),
    ("text", "", "''"),
    ("text", "\u0130stanbul", "'\u0130stanbul'"),
    ("number", 7, "7"),
    ("number", -7, "-7"),
    ("number", None, None),
    ("price", Decimal("12.50"), "12.50"),
    ("price", Decimal("12.00"), "12"),
    ("day", datetime.date(2026, 1, 31), "'2026-01-31'"),
    ("code", CODE, None),
    ("visible", False, None),
]


def constant(value, sql):
    """The value as SQL; some are spelled by each database in its own way."""
    if sql is not None:
        return sql
    if value is None:
        return "NULL"
    if isinstance(value, uuid.UUID):
        return f"'{value.hex}'"
    return str(value).lower() if connection.vendor == "postgresql" else str(int(value))


class Service:
    def __init__(self, server):
        name = connection.settings_dict["NAME"]
        if connection.vendor == "postgresql":
            settings = connection.settings_dict
            url = f"postgres://{settings['USER']}@{settings['HOST']}:{settings['PORT']}/{name}"
        else:
            url = f"sqlite://{name}"
        environment = {**os.environ, "REDIS_URL": f"redis://127.0.0.1:{server.port}/", "DATABASE_URL": url}
        self.process = subprocess.Popen(
            [_program()], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def _ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def read(self, sql):
        found, _, rows = self._ask(f"read {sql}").partition(" ")
        return found, [row["id"] for row in json.loads(rows)]

    def write(self, sql):
        assert self._ask(f"write {sql}") == "written"

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)


@functools.cache
def _program():
    if "BESIDE_PROGRAM" in os.environ:
        return os.environ["BESIDE_PROGRAM"]
    command = ["cargo", "build", "-q", "-p", "cacheops-sea-orm", "--example", "beside", "--message-format", "json"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout
    artifacts = [json.loads(line) for line in built.splitlines() if line.startswith("{")]
    return next(a["executable"] for a in artifacts if a.get("executable"))


@pytest.fixture
def service(server):
    service = Service(server)
    yield service
    service.stop()


def is_hit(queryset):
    """The rows of a cached queryset, and whether the database was left alone."""
    with CaptureQueriesContext(connection) as queries:
        rows = [row.pk for row in queryset.cache()]
    return rows, not queries.captured_queries


@pytest.mark.parametrize(("field", "value", "sql"), VALUES)
def test_a_write_of_the_service_invalidates_the_entry_of_the_site(service, field, value, sql):
    article = Article.objects.create(title="other", text="other", number=1, price=1, day=datetime.date(2000, 1, 1))
    other = Article.objects.create(title="third", text="third", number=2, price=2, day=datetime.date(2001, 1, 1))
    lookup = {f"{field}__isnull": True} if value is None else {field: value}
    assert is_hit(Article.objects.filter(**lookup)) == ([], False)
    assert is_hit(Article.objects.filter(**lookup)) == ([], True)
    assert is_hit(Article.objects.filter(pk=other.pk)) == ([other.pk], False)

    service.write(f"UPDATE shop_article SET {field} = {constant(value, sql)} WHERE id = {article.pk}")

    assert is_hit(Article.objects.filter(**lookup)) == ([article.pk], False)
    assert is_hit(Article.objects.filter(pk=other.pk)) == ([other.pk], True)


@pytest.mark.parametrize(("field", "value", "sql"), VALUES)
def test_a_write_of_the_site_invalidates_the_entry_of_the_service(service, field, value, sql):
    article = Article.objects.create(title="other", text="other", number=1, price=1, day=datetime.date(2000, 1, 1))
    other = Article.objects.create(title="third", text="third", number=2, price=2, day=datetime.date(2001, 1, 1))
    condition = f"{field} IS NULL" if value is None else f"{field} = {constant(value, sql)}"
    question = f"SELECT id FROM shop_article WHERE {condition}"
    beside = f"SELECT id FROM shop_article WHERE id = {other.pk}"
    assert service.read(question) == ("miss", [])
    assert service.read(question) == ("hit", [])
    assert service.read(beside) == ("miss", [other.pk])

    setattr(article, field, value)
    article.save()

    assert service.read(question) == ("miss", [article.pk])
    assert service.read(beside) == ("hit", [other.pk])

    article.delete()

    assert service.read(question) == ("miss", [])
